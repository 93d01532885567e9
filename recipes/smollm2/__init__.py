"""What makes SmolLM2-135M-Instruct call functions and fill schemas: rows, recipe, evaluation."""
