"""Names that families may be given, and the houses they come from."""

BRANDS = ("Nordhem", "Atelier Vik", "Hale & Moor", "Casa Lume", "Kontur", "Fjordby", "Wren Street")

NAMES = (
    *("Aldra", "Alvar", "Anneke", "Arvel", "Askim", "Aurlo", "Baltra", "Barlo", "Benna", "Birkla", "Blakken", "Bodil"),
    *("Borgo", "Brenn", "Brisa", "Bruna", "Calder", "Carro", "Celso", "Cleo", "Corvo", "Dagny", "Dalen", "Darro"),
    *("Delma", "Dovre", "Drift", "Ebba", "Edda", "Einar", "Elara", "Ellis", "Elsker", "Embla", "Enola", "Esben"),
    *("Esme", "Etna", "Falk", "Farsund", "Fenna", "Fiora", "Fjara", "Flint", "Frida", "Froya", "Galen", "Garda"),
    *("Gesa", "Glimt", "Grane", "Greta", "Grove", "Gudrun", "Halden", "Halla", "Harlow", "Havn", "Hedda", "Heron"),
    *("Hilde", "Holm", "Hugo", "Idra", "Ilse", "Imre", "Indra", "Ingar", "Iris", "Isola", "Ivo", "Jarle"),
    *("Jonna", "Jorun", "Juna", "Kaia", "Kalmo", "Karsk", "Keld", "Kira", "Knoll", "Kobe", "Korsa", "Lagom"),
    *("Larkin", "Laro", "Leander", "Leira", "Lena", "Lido", "Linnea", "Lofta", "Lomma", "Lorne", "Lova", "Lune"),
    *("Lysa", "Maia", "Malva", "Maren", "Marta", "Mavi", "Melby", "Mira", "Moda", "Morel", "Moss", "Myra"),
    *("Nalo", "Nara", "Nela", "Nessa", "Nila", "Noor", "Norde", "Nova", "Oda", "Olden", "Olin", "Onda"),
    *("Orla", "Osk", "Otto", "Ovid", "Pala", "Perle", "Petra", "Pilar", "Polly", "Porto", "Quill", "Raben"),
    *("Ragna", "Rana", "Reva", "Ribe", "Rika", "Risor", "Rona", "Rosa", "Rune", "Ruska", "Saga", "Salto"),
    *("Sander", "Selja", "Senja", "Signe", "Silva", "Sira", "Skagen", "Sofie", "Sola", "Soren", "Stella", "Stor"),
    *("Sunne", "Svea", "Tallis", "Tarn", "Tekla", "Thea", "Tilda", "Tind", "Tora", "Tove", "Trana", "Tuva"),
    *("Ulla", "Una", "Urda", "Vale", "Varde", "Vega", "Vela", "Vera", "Vesla", "Vida", "Vilde", "Viola"),
    *("Visby", "Wanda", "Wilma", "Yara", "Ylva", "Yngve", "Zelda", "Zora"),
)
