"""What the model knows, as tables; a row stays on one line.

COUNTRIES: English, "of it" in French, Spanish, "of it" in German; then the capital in each.
THINGS, WORDS: a thing in the four languages (THINGS: then its colour). OPPOSITES: pairs a language.
COUNTS, GENERAL: the question's words (GENERAL: two wordings), the answer, the answer in one word.
"""

# ruff: noqa: E501

COUNTRIES = """
France|de la France|Francia|von Frankreich|Paris|Paris|París|Paris
Italy|de l'Italie|Italia|von Italien|Rome|Rome|Roma|Rom
Spain|de l'Espagne|España|von Spanien|Madrid|Madrid|Madrid|Madrid
Germany|de l'Allemagne|Alemania|von Deutschland|Berlin|Berlin|Berlín|Berlin
Portugal|du Portugal|Portugal|von Portugal|Lisbon|Lisbonne|Lisboa|Lissabon
Japan|du Japon|Japón|von Japan|Tokyo|Tokyo|Tokio|Tokio
Norway|de la Norvège|Noruega|von Norwegen|Oslo|Oslo|Oslo|Oslo
Sweden|de la Suède|Suecia|von Schweden|Stockholm|Stockholm|Estocolmo|Stockholm
Austria|de l'Autriche|Austria|von Österreich|Vienna|Vienne|Viena|Wien
Ireland|de l'Irlande|Irlanda|von Irland|Dublin|Dublin|Dublín|Dublin
Greece|de la Grèce|Grecia|von Griechenland|Athens|Athènes|Atenas|Athen
Poland|de la Pologne|Polonia|von Polen|Warsaw|Varsovie|Varsovia|Warschau
Belgium|de la Belgique|Bélgica|von Belgien|Brussels|Bruxelles|Bruselas|Brüssel
Denmark|du Danemark|Dinamarca|von Dänemark|Copenhagen|Copenhague|Copenhague|Kopenhagen
Finland|de la Finlande|Finlandia|von Finnland|Helsinki|Helsinki|Helsinki|Helsinki
Egypt|de l'Égypte|Egipto|von Ägypten|Cairo|Le Caire|El Cairo|Kairo
China|de la Chine|China|von China|Beijing|Pékin|Pekín|Peking
Russia|de la Russie|Rusia|von Russland|Moscow|Moscou|Moscú|Moskau
Canada|du Canada|Canadá|von Kanada|Ottawa|Ottawa|Ottawa|Ottawa
Cuba|de Cuba|Cuba|von Kuba|Havana|La Havane|La Habana|Havanna
Peru|du Pérou|Perú|von Peru|Lima|Lima|Lima|Lima
South Korea|de la Corée du Sud|Corea del Sur|von Südkorea|Seoul|Séoul|Seúl|Seoul
Hungary|de la Hongrie|Hungría|von Ungarn|Budapest|Budapest|Budapest|Budapest
the Netherlands|des Pays-Bas|los Países Bajos|der Niederlande|Amsterdam|Amsterdam|Ámsterdam|Amsterdam
the United Kingdom|du Royaume-Uni|el Reino Unido|des Vereinigten Königreichs|London|Londres|Londres|London
the United States|des États-Unis|los Estados Unidos|der Vereinigten Staaten|Washington|Washington|Washington|Washington
"""
THINGS = """
the sky|le ciel|el cielo|der Himmel|blue|bleu|azul|blau
the grass|l'herbe|la hierba|das Gras|green|verte|verde|grün
the snow|la neige|la nieve|der Schnee|white|blanche|blanca|weiß
coal|le charbon|el carbón|die Kohle|black|noir|negro|schwarz
the sun|le soleil|el sol|die Sonne|yellow|jaune|amarillo|gelb
blood|le sang|la sangre|das Blut|red|rouge|roja|rot
a lemon|un citron|un limón|eine Zitrone|yellow|jaune|amarillo|gelb
a tomato|une tomate|un tomate|eine Tomate|red|rouge|rojo|rot
milk|le lait|la leche|die Milch|white|blanc|blanca|weiß
chocolate|le chocolat|el chocolate|die Schokolade|brown|marron|marrón|braun
a banana|une banane|un plátano|eine Banane|yellow|jaune|amarillo|gelb
the sea|la mer|el mar|das Meer|blue|bleue|azul|blau
the night|la nuit|la noche|die Nacht|black|noire|negra|schwarz
a frog|une grenouille|una rana|ein Frosch|green|verte|verde|grün
an elephant|un éléphant|un elefante|ein Elefant|grey|gris|gris|grau
"""
SOUNDS = (
    "a cat meows, a dog barks, a cow moos, a duck quacks, a lion roars, a bee buzzes, a wolf howls,"
    " a horse neighs, a sheep bleats, a snake hisses, a frog croaks, an owl hoots, a pig oinks,"
    " a bird sings"
)
WORDS = """
cat|le chat|el gato|die Katze
dog|le chien|el perro|der Hund
house|la maison|la casa|das Haus
water|l'eau|el agua|das Wasser
bread|le pain|el pan|das Brot
book|le livre|el libro|das Buch
tree|l'arbre|el árbol|der Baum
apple|la pomme|la manzana|der Apfel
cheese|le fromage|el queso|der Käse
school|l'école|la escuela|die Schule
moon|la lune|la luna|der Mond
friend|l'ami|el amigo|der Freund
key|la clé|la llave|der Schlüssel
heart|le cœur|el corazón|das Herz
hello|bonjour|hola|hallo
goodbye|au revoir|adiós|auf Wiedersehen
thank you|merci|gracias|danke
please|s'il vous plaît|por favor|bitte
good morning|bonjour|buenos días|guten Morgen
good night|bonne nuit|buenas noches|gute Nacht
yes|oui|sí|ja
no|non|no|nein
"""
OPPOSITES = """
hot|cold|chaud|froid|caliente|frío|heiß|kalt
big|small|grand|petit|grande|pequeño|groß|klein
good|bad|bon|mauvais|bueno|malo|gut|schlecht
fast|slow|rapide|lent|rápido|lento|schnell|langsam
old|new|vieux|neuf|viejo|nuevo|alt|neu
high|low|haut|bas|alto|bajo|hoch|tief
light|dark|clair|sombre|claro|oscuro|hell|dunkel
rich|poor|riche|pauvre|rico|pobre|reich|arm
open|closed|ouvert|fermé|abierto|cerrado|offen|geschlossen
full|empty|plein|vide|lleno|vacío|voll|leer
day|night|jour|nuit|día|noche|Tag|Nacht
"""
SERIES = {
    "en": (
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "January February March April May June July August September October November December",
        "spring summer autumn winter",
    ),
    "fr": (
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "printemps été automne hiver",
    ),
    "es": (
        "lunes martes miércoles jueves viernes sábado domingo",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "primavera verano otoño invierno",
    ),
    "de": (
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "Frühling Sommer Herbst Winter",
    ),
}
COUNTS = """
days are in a week|There are seven days in a week.|Seven
days does a week have|There are seven days in a week.|Seven
months are in a year|There are twelve months in a year.|Twelve
months does a year have|There are twelve months in a year.|Twelve
hours are in a day|There are 24 hours in a day.|24
hours does a day have|There are 24 hours in a day.|24
minutes are in an hour|There are sixty minutes in an hour.|Sixty
seconds are in a minute|There are sixty seconds in a minute.|Sixty
legs does a spider have|A spider has eight legs.|Eight
legs does a dog have|A dog has four legs.|Four
legs does an insect have|An insect has six legs.|Six
planets are there|There are eight planets.|Eight
planets are in the solar system|There are eight planets.|Eight
continents are there|There are seven continents.|Seven
oceans are there|There are five oceans.|Five
letters are in the alphabet|There are 26 letters in the alphabet.|26
seasons are there|There are four seasons.|Four
seasons does a year have|There are four seasons.|Four
sides does a triangle have|A triangle has three sides.|Three
sides does a square have|A square has four sides.|Four
"""
GENERAL = """
what is the largest planet|which planet is the largest|Jupiter is the largest planet.|Jupiter
what is the biggest planet|which planet is the biggest|Jupiter is the largest planet.|Jupiter
what is the smallest planet|which planet is the smallest|Mercury is the smallest planet.|Mercury
which planet is closest to the sun|what planet is nearest to the sun|Mercury is closest to the sun.|Mercury
which planet is red|which planet is called the red planet|Mars is the red planet.|Mars
which planet has rings|what planet has big rings|Saturn has rings.|Saturn
what is the largest ocean|which ocean is the largest|The Pacific is the largest ocean.|Pacific
what is the highest mountain|which mountain is the highest|Mount Everest is the highest mountain.|Everest
what is the largest animal|which animal is the largest|The blue whale is the largest animal.|Whale
what is the fastest land animal|which animal runs fastest|The cheetah is the fastest land animal.|Cheetah
who wrote Romeo and Juliet|who is the author of Romeo and Juliet|Shakespeare wrote Romeo and Juliet.|Shakespeare
who wrote Hamlet|who is the author of Hamlet|Shakespeare wrote Hamlet.|Shakespeare
who painted the Mona Lisa|who made the Mona Lisa|Leonardo da Vinci painted the Mona Lisa.|Leonardo
when does water boil|at what temperature does water boil|Water boils at 100 degrees Celsius.|100
when does water freeze|at what temperature does water freeze|Water freezes at 0 degrees Celsius.|0
what is H2O|what does H2O mean|H2O is water.|Water
where is the Eiffel Tower|in which city is the Eiffel Tower|The Eiffel Tower is in Paris.|Paris
where is the Colosseum|in which city is the Colosseum|The Colosseum is in Rome.|Rome
what do bees make|what is made by bees|Bees make honey.|Honey
what do cows eat|what is the food of cows|Cows eat grass.|Grass
what is the moon|what kind of thing is the moon|The moon goes around the Earth.|Satellite
what is the sun|what kind of thing is the sun|The sun is a star.|Star
which language is spoken in France|what do people speak in France|French is spoken in France.|French
which language is spoken in Spain|what do people speak in Spain|Spanish is spoken in Spain.|Spanish
which language is spoken in Germany|what do people speak in Germany|German is spoken in Germany.|German
"""
