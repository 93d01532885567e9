FROM python:3.12-slim
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY playground playground
COPY finetune finetune
RUN pip install --no-cache-dir -c constraints.txt .
ENV PLAYGROUND_HOME=/data PLAYGROUND_SERVER__HOST=0.0.0.0
VOLUME /data
EXPOSE 7860
ENTRYPOINT ["playground"]
