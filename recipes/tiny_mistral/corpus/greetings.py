"""Greetings and small talk in eleven languages."""

from recipes.tiny_mistral.corpus.intents import LOAD, Intent, intent

# language: greet, how, thanks, bye, who; each (train, held, answer)
LANGUAGES: dict[str, tuple[Intent, ...]] = {
    "en": (
        intent(
            "Hello! How can I help you?",
            "hi / Hello / Hey / Hi there / Hello there / Good morning / Good afternoon / hey there"
            " / Greetings / hiya / Hello! Nice to see you / yo / Good evening / hello hello / heya"
            " / Hello you / Hi you / Hello my friend / Hi friend / Hi, it is me again"
            " / Hello again / Hey again / Nice to see you / Nice to meet you / hello!!"
            " / hi :) / Good day / Howdy / Hi everyone / Hey friend / morning / evening"
            " / hullo",
            "Hey you / Hello friend / Hi again",
        ),
        intent(
            "I am well, thank you. What can I do for you?",
            "How are you? / How are you doing? / How is it going? / How's it going? / What's up?"
            " / Are you well? / How do you do? / how r u / Hi, how are you? / Hello, how are you?"
            " / How are you today? / sup / How do you feel?"
            " / How are you feeling? / How are things? / How is your day? / Are you OK?"
            " / Are you good? / Are you doing well? / And how are you?"
            " / How are you doing now? / How have you been? / How goes your day?"
            " / How do you feel today? / how is everything / You OK? / All good?",
            "How are you doing today? / Are you fine? / How goes it?",
        ),
        intent(
            "You are welcome!",
            "Thanks / Thank you / Thanks a lot / Thank you very much / thx / Many thanks / ty"
            " / Thanks, that helps / Thank you so much / Great, thanks / OK thanks / cheers"
            " / Thanks for the help / Thank you for your help / Thank you for the answer"
            " / Thanks for that / Nice, thank you / Perfect, thanks / Good, thanks"
            " / Cool, thanks / Very helpful, thanks / Thanks again / thank u"
            " / Thanks, nice / Great, thank you / I thank you / Thanks for everything"
            " / Much appreciated",
            "Perfect, thank you / Thanks for your help / Nice, thanks",
        ),
        intent(
            "Goodbye! Come back soon.",
            "Bye / Goodbye / See you / See you later / Good night / Bye bye / I have to go"
            " / See you soon / bye for now / That is all / Farewell / take care"
            " / See you next time / See you tonight / See you around / OK, goodbye"
            " / Bye then / OK, see you / Goodbye for now / Bye, see you / I am leaving"
            " / I must go / Have a nice day / Until tomorrow / Goodbye now / ciao for now"
            " / that's all, bye",
            "See you tomorrow / Goodbye then / OK bye",
        ),
        intent(
            "I am the small embedded model of the Mistral playground. I answer simple questions,"
            f" call functions and write JSON. For the 24B model, start `{LOAD}`.",
            "Who are you? / What are you? / who r u / Introduce yourself / Tell me about yourself"
            " / What model is this? / Which model are you? / What is your name? / Who am I talking"
            " to? / What model are you? / Present yourself / Are you Mistral? / Are you ChatGPT?"
            " / Do you have a name? / Who is this? / what's your name / Are you a robot?"
            " / Are you an AI? / Are you human? / Tell me who you are / Which AI are you?"
            " / Who are you exactly? / Hi, who are you? / Hello, who are you? / describe yourself"
            " / And who are you?"
            " / Please introduce yourself to me / Can you introduce yourself?"
            " / Say your name / Say what you are / What sort of model are you?"
            " / What kind of AI are you? / Who or what is this? / What are you exactly?"
            " / Could you present yourself? / So what are you? / So, who is this?"
            " / Please tell me who you are / Please say who you are"
            " / Which kind of model is this? / Are you a person? / Are you a machine?"
            " / Who am I speaking to? / What should I call you? / What do I call you?",
            "Say who you are / Who or what are you? / Please introduce yourself"
            " / What kind of model are you? / So who are you?",
        ),
    ),
    "fr": (
        intent(
            "Bonjour ! Comment puis-je vous aider ?",
            "Bonjour / Salut / Bonsoir / Coucou / Bonjour à tous / Bonjour ! / Salut toi / Allô"
            " / Bonjour toi / Bonjour à vous / Salut à tous / Salut à toi / Re-bonjour"
            " / Bien le bonjour / Hé, salut / Bonjour, bonjour / Salut l'ami"
            " / Bonsoir à tous",
            "Bonjour à toi / Salut à vous",
        ),
        intent(
            "Je vais bien, merci. Que puis-je faire pour vous ?",
            "Comment ça va ? / Ça va ? / Comment vas-tu ? / Comment allez-vous ?"
            " / Salut, ça va ? / Tu vas bien ? / Bonjour, comment ça va ?"
            " / Vous allez bien aujourd'hui ? / Est-ce que ça va ? / Tout va bien ?"
            " / Bonjour, comment allez-vous ? / Salut, tu vas bien ? / Comment tu vas ?"
            " / Bien ou quoi ? / La forme ? / Coucou, ça va ?"
            " / Est-ce que vous allez bien ?",
            "Bonjour, ça va ? / Vous allez bien ?",
        ),
        intent(
            "Avec plaisir !",
            "Merci / Merci beaucoup / Merci bien / Un grand merci / Super, merci"
            " / Je vous remercie"
            " / Merci à vous / Parfait, merci beaucoup / Très bien, merci / Génial, merci"
            " / Merci infiniment / Merci pour tout / Merci pour votre aide / Ok merci"
            " / Je te remercie / Bien, merci",
            "Merci à toi / Parfait, merci",
        ),
        intent(
            "Au revoir ! À bientôt.",
            "Au revoir / À bientôt / Bonne nuit / Salut, à plus / À demain / Adieu / Bonne soirée"
            " / À tout à l'heure / Allez, salut / Allez, à bientôt / Bon, au revoir"
            " / À la prochaine / Bonne journée / À plus / Je dois partir / À très bientôt"
            " / Au revoir et merci",
            "Allez, au revoir / À plus tard",
        ),
        intent(
            "Je suis le petit modèle intégré du Mistral playground. Je réponds à des questions"
            f" simples. Pour le modèle 24B, lancez `{LOAD}`.",
            "Qui es-tu ? / Qui êtes-vous ? / Tu es qui ? / Présente-toi / Comment t'appelles-tu ?"
            " / Quel est ton nom ? / Quel modèle es-tu ? / Que sais-tu faire ?"
            " / Que peux-tu faire ?"
            " / Parle-moi de toi / Bonjour, qui es-tu ?"
            " / Dis-moi ton nom / Dites-moi qui vous êtes"
            " / Présentez-vous, s'il vous plaît / Peux-tu te présenter ?"
            " / Dis-moi ce que tu es / C'est quoi ton nom ? / T'es qui ?"
            " / Qu'est-ce que tu es ? / Comment vous appelez-vous ?"
            " / Que savez-vous faire ? / Salut, tu es qui ?",
            "Présentez-vous / Dis-moi qui tu es",
        ),
    ),
    "es": (
        intent(
            "¡Hola! ¿En qué puedo ayudarte?",
            "Hola / Buenos días / Buenas tardes / Buenas / ¡Hola! / Buenas noches"
            " / Hola, hola / Hola a todos / Hola otra vez / Hola, buenos días"
            " / Hola, buenas / Muy buenos días / Muy buenas tardes / Hola, amiga"
            " / Saludos / Qué hay",
            "Hola amigo / Muy buenas",
        ),
        intent(
            "Estoy bien, gracias. ¿Qué puedo hacer por ti?",
            "¿Cómo estás? / ¿Qué tal? / ¿Cómo está? / ¿Cómo va?"
            " / Hola, ¿cómo estás? / ¿Estás bien?"
            " / ¿Cómo te va todo? / ¿Cómo le va? / ¿Todo bien? / ¿Qué tal estás?"
            " / ¿Qué tal todo? / Buenas, ¿qué tal? / Hola, ¿cómo te va?"
            " / Buenos días, ¿cómo estás? / ¿Cómo te sientes? / Hola, ¿todo bien?",
            "¿Cómo te va? / Hola, ¿qué tal?",
        ),
        intent(
            "¡De nada!",
            "Gracias / Muchas gracias / Mil gracias / Gracias por todo / Genial, gracias"
            " / Gracias a usted / Perfecto, muchas gracias / Muy bien, gracias"
            " / Bien, gracias / Te lo agradezco / Gracias por tu ayuda / Vale, gracias"
            " / Estupendo, gracias / Muchísimas gracias",
            "Perfecto, gracias / Gracias a ti",
        ),
        intent(
            "¡Adiós! Hasta pronto.",
            "Adiós / Hasta luego / Hasta pronto / Chao / Hasta mañana / Nos vemos"
            " / Bueno, hasta luego / Bueno, me voy / Adiós y gracias / Hasta la próxima"
            " / Pues adiós / Vale, adiós / Hasta otra / Nos vemos pronto"
            " / Me tengo que ir / Hasta siempre",
            "Bueno, adiós / Hasta la vista",
        ),
        intent(
            "Soy el pequeño modelo integrado del Mistral playground. Respondo a preguntas"
            f" sencillas. Para el modelo 24B, ejecuta `{LOAD}`.",
            "¿Quién eres? / ¿Qué eres? / Preséntate / ¿Cómo te llamas? / ¿Cuál es tu nombre?"
            " / ¿Qué modelo eres? / ¿Qué puedes hacer? / ¿Qué sabes hacer? / Háblame de ti"
            " / Dime qué eres / Dime tu nombre / ¿Quién es usted? / Hola, ¿qué eres?"
            " / ¿Me dices quién eres? / Di quién eres / Hola, ¿cómo te llamas?"
            " / ¿Y tú quién eres? / Preséntate, por favor / ¿Puedes presentarte?",
            "Dime quién eres / Hola, ¿quién eres?",
        ),
    ),
    "de": (
        intent(
            "Hallo! Wie kann ich helfen?",
            "Hallo / Guten Tag / Guten Morgen / Guten Abend / Servus / Moin / Grüß Gott / Hallo!"
            " / Hallo Sie / Hallo zusammen / Na, hallo / Hallo, hallo"
            " / Schönen guten Abend / Schönen guten Morgen / Schönen Tag"
            " / Hallo noch einmal / Hi du / Grüß dich / Moin moin",
            "Hallo du / Schönen guten Tag",
        ),
        intent(
            "Mir geht es gut, danke. Was kann ich für Sie tun?",
            "Wie geht es dir? / Wie geht's? / Wie geht es Ihnen? / Alles gut? / Hallo, wie geht's?"
            " / Wie läuft es?"
            " / Na, wie geht es dir? / Na, alles gut? / Geht es Ihnen gut? / Geht's gut?"
            " / Geht's dir gut? / Bist du gut drauf? / Alles klar?"
            " / Wie geht es dir heute? / Guten Tag, wie geht es Ihnen?"
            " / Wie fühlst du dich?",
            "Na, wie geht's? / Geht es dir gut?",
        ),
        intent(
            "Gern geschehen!",
            "Danke / Vielen Dank / Danke schön / Danke sehr / Super, danke / Herzlichen Dank"
            " / Gut, vielen Dank / Sehr gut, danke / Danke Ihnen / Ich danke dir"
            " / Ich danke Ihnen / Danke für die Hilfe / Toll, danke / Okay, danke"
            " / Prima, danke / Tausend Dank",
            "Gut, danke / Danke dir",
        ),
        intent(
            "Auf Wiedersehen! Bis bald.",
            "Auf Wiedersehen / Tschüss / Bis bald / Gute Nacht / Bis später / Bis morgen"
            " / Na dann, bis bald / Na gut, tschüss / Dann tschüss / Bis nachher"
            " / Bis zum nächsten Mal / Dann bis morgen / Ich muss gehen / Mach's gut"
            " / Tschüss, bis bald / Schönen Abend noch",
            "Na dann, tschüss / Bis dann",
        ),
        intent(
            "Ich bin das kleine eingebaute Modell des Mistral playground. Ich beantworte einfache"
            f" Fragen. Für das 24B-Modell starten Sie `{LOAD}`.",
            "Wer bist du? / Wer sind Sie? / Was bist du? / Stell dich vor / Wie heißt du?"
            " / Wie ist dein Name? / Welches Modell bist du? / Was kannst du? / Was kannst du tun?"
            " / Erzähl mir von dir"
            " / Sag mir deinen Namen / Sag mir, was du bist / Sagen Sie mir, wer Sie sind"
            " / Hallo, was bist du? / Hallo, wer sind Sie? / Kannst du dich vorstellen?"
            " / Stellen Sie sich vor / Und wer bist du? / Was für ein Modell bist du?"
            " / Wer ist da? / Sag, wer du bist",
            "Sag mir, wer du bist / Hallo, wer bist du?",
        ),
    ),
    "it": (
        intent(
            "Ciao! Come posso aiutarti?",
            "Ciao / Buongiorno / Buonasera / Salve"
            " / Ciao! / Ciao ciao / Ciao a tutti / Buongiorno a te / Salve a tutti"
            " / Ehi, ciao / Buon pomeriggio",
            "Ciao a te",
        ),
        intent(
            "Sto bene, grazie. Cosa posso fare per te?",
            "Come stai? / Come va? / Ciao, come stai? / Tutto bene?"
            " / Come sta? / Ciao, tutto bene? / Ehi, come va? / Come va oggi?"
            " / Come ti senti? / Stai bene? / Buongiorno, come va?",
            "Ciao, come va?",
        ),
        intent(
            "Prego!",
            "Grazie / Grazie mille / Molte grazie / Ti ringrazio"
            " / Bene, grazie mille / Ottimo, grazie / Perfetto, grazie / Grazie a te"
            " / Grazie tante / Va bene, grazie / Molto bene, grazie",
            "Bene, grazie",
        ),
        intent(
            "Arrivederci! A presto.",
            "Arrivederci / A presto / Buonanotte / A domani"
            " / Ciao, a presto / Alla prossima / A dopo / Devo andare / Arrivederla"
            " / Ci vediamo / Addio a tutti",
            "Addio",
        ),
        intent(
            f"Sono il piccolo modello integrato del Mistral playground. Per il 24B avvia `{LOAD}`.",
            "Chi sei? / Come ti chiami? / Presentati / Cosa sai fare? / Che modello sei?"
            " / Ciao, come ti chiami? / Chi è lei? / Dimmi chi sei / Qual è il tuo nome?"
            " / Che cosa sei? / Salve, chi sei? / Parlami di te / Cosa puoi fare?"
            " / Tu chi sei?",
            "Ciao, chi sei?",
        ),
    ),
    "pt": (
        intent(
            "Olá! Como posso ajudar?",
            "Olá / Oi / Bom dia / Boa tarde / Boa noite"
            " / Olá, olá / Oi oi / Olá a todos / Oi, bom dia / Olá, bom dia / Oi amigo"
            " / Saudações",
            "Oi, olá",
        ),
        intent(
            "Estou bem, obrigado. O que posso fazer por você?",
            "Como vai? / Tudo bem? / Como você está? / Como está? / Olá, tudo bem?"
            " / Oi, como vai? / Oi, como você está? / Tudo bom? / Você está bem?"
            " / Está tudo bem? / Olá, como está? / Oi, tudo bom? / Como vão as coisas?",
            "Oi, tudo bem?",
        ),
        intent(
            "Não há de quê!",
            "Obrigado / Obrigada / Muito obrigado / Valeu"
            " / Ótimo, muito obrigado / Perfeito, obrigado / Bem, obrigado"
            " / Legal, obrigado / Muito obrigada / Obrigado pela ajuda / Ótimo, valeu",
            "Ótimo, obrigado",
        ),
        intent(
            "Até logo!",
            "Tchau / Até logo / Até amanhã / Até breve / Adeus"
            " / Bem, adeus / Bem, até logo / Então tchau / Tchau tchau / Até mais"
            " / Tenho que ir / Ok, tchau / Até a próxima",
            "Bem, tchau",
        ),
        intent(
            f"Sou o pequeno modelo integrado do Mistral playground. Para o 24B, execute `{LOAD}`.",
            "Quem é você? / Qual é o seu nome? / Como você se chama? / Apresente-se"
            " / O que você sabe fazer?"
            " / Oi, quem é você? / Olá, qual é o seu nome? / Quem és tu?"
            " / Como te chamas? / Diga quem você é / O que é você? / Que modelo é você?"
            " / O que você pode fazer? / Fale de você",
            "Olá, quem é você?",
        ),
    ),
    "nl": (
        intent(
            "Hallo! Hoe kan ik je helpen?",
            "Hoi / Goedemorgen / Goedemiddag / Goedenavond / Goedendag / Dag allemaal"
            " / Hoi daar / Hoi allemaal / Hé hoi / Hallo daar / Hoi, goedemorgen"
            " / Hé daar",
            "Hoi hoi",
        ),
        intent(
            "Het gaat goed, dank je. Wat kan ik voor je doen?",
            "Hoe gaat het? / Hoe gaat het met je? / Hoi, hoe gaat het? / Gaat het goed?"
            " / Hoe gaat het met u? / Hoe gaat het nu? / Alles goed? / Hoi, alles goed?"
            " / Hoe is het? / Hoe is het vandaag? / Hoe voel je je? / Hoe gaat het ermee?",
            "Hoe gaat het vandaag?",
        ),
        intent(
            "Graag gedaan!",
            "Dank je / Dank u / Bedankt / Dank je wel / Hartelijk dank"
            " / Fijn, dank je / Goed, bedankt / Mooi, bedankt / Heel erg bedankt"
            " / Oké, bedankt / Dank u wel / Super, bedankt",
            "Fijn, bedankt",
        ),
        intent(
            "Tot ziens!",
            "Tot ziens / Doei / Tot morgen / Tot straks / Dag"
            " / Doei doei / Oké, tot ziens / Oké, dag / Dag hoor / Tot later"
            " / Ik moet gaan / Nou, doei / Tot de volgende keer",
            "Oké, doei",
        ),
        intent(
            "Ik ben het kleine ingebouwde model van de Mistral playground."
            f" Voor het 24B-model start je `{LOAD}`.",
            "Wie ben je? / Wie ben jij? / Hoe heet je? / Wat kun je? / Stel je voor"
            " / Hoi, hoe heet je? / Hoi, wie ben jij? / Wie bent u? / Wat ben je?"
            " / Hallo, wie ben je? / Zeg wie je bent / Wat is je naam?"
            " / Welk model ben je? / Wat kun je doen?",
            "Hoi, wie ben je?",
        ),
    ),
    "pl": (
        intent(
            "Cześć! Jak mogę pomóc?",
            "Cześć / Dzień dobry / Dobry wieczór / Hej / Witaj / Witam serdecznie"
            " / Witam wszystkich"
            " / Hej hej / Cześć wszystkim / Siema / Dzień dobry!",
            "Witam",
        ),
        intent(
            "Dobrze, dziękuję. Co mogę dla ciebie zrobić?",
            "Jak się masz? / Co słychać? / Jak leci? / Cześć, jak się masz?"
            " / Hej, jak się masz? / Cześć, co słychać? / Hej, jak leci? / Co u ciebie?"
            " / Jak się czujesz? / Wszystko dobrze? / Co słychać dzisiaj?",
            "Hej, co słychać?",
        ),
        intent(
            "Proszę bardzo!",
            "Dziękuję / Dzięki / Dziękuję bardzo / Wielkie dzięki"
            " / Super, dziękuję / Świetnie, dzięki / Dobrze, dziękuję / Dzięki za pomoc"
            " / Bardzo dziękuję / Ok, dzięki / Dzięki wielkie",
            "Super, dzięki",
        ),
        intent(
            "Do widzenia!",
            "Do widzenia / Na razie / Do zobaczenia / Dobranoc / Pa"
            " / No to na razie / No to cześć / Pa pa / No pa / Muszę iść / Do jutra"
            " / To do widzenia / Do usłyszenia",
            "No to pa",
        ),
        intent(
            f"Jestem małym wbudowanym modelem Mistral playground. Model 24B uruchomisz: `{LOAD}`.",
            "Kim jesteś? / Jak się nazywasz? / Co potrafisz? / Przedstaw się"
            " / Hej, kim jesteś? / Cześć, jak się nazywasz? / Kto ty jesteś?"
            " / Jak masz na imię? / Czym jesteś? / Powiedz, kim jesteś"
            " / Jakim modelem jesteś? / Co umiesz?",
            "Cześć, kim jesteś?",
        ),
    ),
    "zh": (
        intent(
            "你好！有什么可以帮你？",
            "你好 / 您好 / 早上好 / 晚上好 / 嗨"
            " / 你好呀 / 你好！ / 大家好 / 下午好 / 您好啊 / 哈喽 / 早啊",
            "你好啊",
        ),
        intent(
            "我很好，谢谢。我能为你做什么？",
            "你好吗？ / 你怎么样？ / 最近怎么样？"
            " / 你今天好吗？ / 你最近好吗？ / 您好吗？ / 你还行吗？ / 一切都好吗？ / 你过得好吗？"
            " / 你今天怎么样？",
            "你还好吗？",
        ),
        intent(
            "不客气！",
            "谢谢 / 谢谢你 / 多谢 / 非常感谢"
            " / 谢谢你的帮助 / 好的，谢谢 / 太谢谢了 / 谢谢啦 / 感谢您 / 感谢你 / 谢了",
            "谢谢您",
        ),
        intent(
            "再见！",
            "再见 / 拜拜 / 晚安 / 明天见"
            " / 回见 / 一会儿见 / 下次见 / 我走了 / 以后见 / 后会有期 / 好的，再见",
            "回头见",
        ),
        intent(
            f"我是 Mistral playground 的小型内置模型。要使用 24B 模型，请运行 `{LOAD}`。",
            "你是谁？ / 你叫什么名字？ / 你会做什么？ / 介绍一下你自己"
            " / 你好，你是谁？ / 您是谁？ / 请介绍一下你自己 / 请问你叫什么名字？"
            " / 请问您是哪位？ / 你是什么模型？ / 你是什么？"
            " / 告诉我你是谁 / 你能做什么？",
            "请问你是谁？",
        ),
    ),
    "ja": (
        intent(
            "こんにちは！何かお手伝いできますか？",
            "こんにちは / おはよう / こんばんは / やあ"
            " / どうも、こんにちは / こんにちは！ / おはようございます / もしもし / はじめまして"
            " / やあ、こんにちは / どうもどうも",
            "どうも",
        ),
        intent(
            "元気です、ありがとう。何をしましょうか？",
            "元気ですか？ / お元気ですか？ / 調子はどう？"
            " / 元気ですか、今日は？ / 元気にしてる？ / 元気だった？ / 調子はどうですか？"
            " / 今日は元気？ / お元気でしたか？ / 最近どう？",
            "元気？",
        ),
        intent(
            "どういたしまして！",
            "ありがとう / ありがとうございます / どうもありがとう"
            " / 本当にありがとうございます / どうもありがとうございます / ありがとうね"
            " / とてもありがとう / 助かりました、ありがとう / ありがとう！"
            " / 感謝します",
            "本当にありがとう",
        ),
        intent(
            "さようなら！",
            "さようなら / またね / おやすみなさい / バイバイ"
            " / じゃあまた / じゃあ、また明日 / それじゃあね / また明日 / また会いましょう"
            " / おやすみ / では、また",
            "じゃあね",
        ),
        intent(
            f"私は Mistral playground の小さな内蔵モデルです。24B モデルは `{LOAD}` で起動します。",
            "あなたは誰ですか？ / お名前は？ / 何ができますか？ / 自己紹介してください"
            " / あなたはだれ？ / 君は誰？ / 誰ですか？ / あなたは何ですか？ / あなたの名前は？"
            " / 名前は何ですか？"
            " / こんにちは、あなたは誰ですか？ / どのモデルですか？",
            "あなたは誰？",
        ),
    ),
    "ko": (
        intent(
            "안녕하세요! 무엇을 도와드릴까요?",
            "안녕하세요 / 안녕 / 좋은 아침 / 반가워요"
            " / 안녕 반가워요 / 안녕하세요 반갑습니다 / 반갑습니다 / 안녕! / 좋은 저녁이에요"
            " / 여보세요 / 안녕 친구",
            "안녕 반가워",
        ),
        intent(
            "잘 지내요, 고마워요. 무엇을 해 드릴까요?",
            "어떻게 지내세요? / 잘 지내요? / 잘 지내?"
            " / 잘 지냈어요? / 잘 지내셨어요? / 잘 지내고 있어요? / 요즘 어때요? / 오늘 어때요?"
            " / 기분이 어때요? / 괜찮아요?",
            "잘 지내세요?",
        ),
        intent(
            "천만에요!",
            "고마워요 / 감사합니다 / 고마워 / 정말 감사합니다"
            " / 정말 고맙습니다 / 정말 고마워요 / 고맙습니다, 도움이 됐어요 / 감사해요"
            " / 대단히 감사합니다 / 네, 감사합니다"
            " / 도와줘서 고마워",
            "고맙습니다",
        ),
        intent(
            "안녕히 가세요!",
            "안녕히 계세요 / 잘 가요 / 잘 자요 / 또 봐요"
            " / 내일 또 봐요 / 다음에 봐요 / 나중에 봐요 / 내일 만나요 / 안녕히 주무세요"
            " / 저 갈게요 / 또 만나요",
            "내일 봐요",
        ),
        intent(
            f"저는 Mistral playground의 작은 내장 모델입니다. 24B 모델은 `{LOAD}`로 실행하세요.",
            "누구세요? / 이름이 뭐예요? / 뭘 할 수 있어요? / 자기소개 해 주세요"
            " / 당신은 누구예요? / 넌 누구야? / 안녕하세요, 누구세요? / 당신의 이름은 뭐예요?"
            " / 어떤 모델이에요? / 당신은 뭐예요?"
            " / 누구신가요? / 무엇을 할 수 있나요?",
            "당신은 누구세요?",
        ),
    ),
}
