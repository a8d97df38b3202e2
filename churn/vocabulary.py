"""The words by which columns and values are recognised, in the usual European
languages, without accents; and how a name or a spelling is rated by them.

Of Russian, Ukrainian, Turkish, Japanese, Chinese and Korean what a label and an id are called.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

LEAVING = re.compile(
    r"churn|attrit|\bexit(?:ed|s)?\b|\bleft\b|\bleav(?:e|er|ers|ing)\b|cancel|terminat|unsubscri"
    r"|\blapsed?\b|\blost\b"
    r"|defect(?:ed|or|ion)|\bquit\b|\bclos(?:e|ed|ing|ure)\b|\bdropped\b|depart|resign|\bgone\b"
    r"|deactiv|inactiv|inaktiv"
    r"|abgewandert|abwander|kundig|kuendig|storno|stornier|austritt|ausgetreten|beendet|ehemalig"
    r"|\bweg\b"
    r"|resili|desabonn|\bpartie?s?\b|rompu|clotur|\bsorti[es]?\b|inactif|perdu"
    r"|abandon|\bbajas?\b|\bfuga\b|desercion|deserto|\bcesad|inactivo|perdid"
    r"|abbandon|disdett|\brecess|cessat|inattiv|\bpers[oi]\b"
    r"|evasao|evadi|desist|\bsaiu\b|encerrad|inativ"
    r"|opgezegd|opzeg|vertrok|afgehaakt|beeindig|opsagt|oppsagt|uppsagd|frafald|frafall|avslut"
    r"|avgang|udmeldt|utmeldt"
    r"|odej|odszed|odszl|rezygn|odchod|odesel|ukonc|zakoncz|lemond|lemorzs|poistu|irtisan"
    r"|lahte(?:nyt|neet)"
    r"|discontinu|disconnect|\bceased?\b|\bport(?:ed)? ?out\b|surrender|drop ?out\b"
    r"|\bno(?:n|t) ?(?:renew|active\b|retain)"
    r"|abgang\b|\bdesliga|\bsaida\b|ayr[i\u0131]l|\biptal|\bterk\b|\bkay[i\u0131]p\b"
    r"|отток|ушел|ушла|ушли|уход\b|расторг|отключ|покинул|неактив|недейств|відтік|пішов"
    r"|解約|解约|退会|離脱|離反|流失|离网|離網|销户|注销|退订|이탈|해지|탈퇴"
)
STAYING = re.compile(
    r"\bactive\b|\bactif|\baktiv|\bactiv[oa]|\battiv|\bativ|\bretain|retention|\bstay|\bloyal"
    r"|\bexisting\b|\bcurrent\b"
    r"|\brenew|\bopen\b|\bremain|bestandskund|\bbestehend|geblieben|\bbleibt?\b|fidel|vigente"
    r"|en cours|laufend|\bkept\b"
    r"|\bstill\b|\bpresent\b|reste\b|permane|\baktywn|\baktual|\bactueel|\bbestaand"
    r"|\bактив|остал|\bдейств|継続|在籍|在网|留存|유지|잔류"  # noqa: RUF001 (Russian)
)
# The whole name of a column that says, with yes and no, whether somebody still is a customer.
STANDING = re.compile(
    r"(?:is )?(?:a )?(?:subscriber|subscribed|subscribing|abonnent|abonne|abonado|assinante"
    r"|abbonato)"
)
# What makes a name with a word of leaving something else than the answer itself,
# whatever its values...
SPOILING = re.compile(
    r"reason|grund\b|motif|motiv|causa|cause|score|prob|predict|\bpred\b|risk|risiko|risque|riesgo"
    r"|rischio|\brate\b|\brata\b"
    r"|likelihood|propensity|classifier|comment|category|kategor|categor|policy|offers?\b|discount"
    r"|\bfees?\b"
)
# ...and what makes it so unless the values are two answers: `churn_next_month` is one.
COUNTING = re.compile(
    r"date|datum|fecha|\bdata\b|month|monat|\bmois\b|\bmes\b|\bmese\b|(?<!ac)count|number|anzahl"
    r"|nombre|numero|days|tage\b|jours"
    r"|dias\b|giorni|time|zeit|amount|ratio|calls?\b|orders?\b|items?\b|note\b|previous|past|before"
    r"|vorher"
)
WEAK_LABEL = re.compile(
    r"^(?:targets?|labels?|class|klasse|classe|clase|y|outcome|response|result|answer|ziel|cible)$"
)
STATUS = re.compile(r"status|statut|\bstato\b|estado|situac|situation|\bstate\b|zustand|stav\b")
# Near-neutral beside a word of leaving: `Churn Label`, `is_churn`, `Attrition_Flag`,
# `customer left`.
NEUTRAL = frozenset(
    (
        "is", "has", "flag", "label", "value", "yn", "ind", "indicator", "indicateur", "bool",
        "status", "customer",
        "client", "kunde", "kunden", "cliente", "clienti", "user", "account", "num", "bin",
        "binary", "text", "1", "0",
        "the", "de", "du", "le", "la", "a", "ont", "est", "ist", "hat", "in", "next", "target", "y",
        "answer", "class",
    )
)  # fmt: skip
END = re.compile(
    r"\bend(?:s|ed|ing)?\b|enddat|cancel|terminat|churn|\bexit|\bclos(?:e|ed|ing|ure)\b|\bleav"
    r"|\bleft\b|deactiv|cessat"
    r"|cessation|kundig|kuendig|\bende\b|austritt|vertragsende|\bfin\b|resili|\bsortie\b|cloture"
    r"|depart|\bbaja\b|cancelac"
    r"|\bfine\b|disdett|\blaps|\bfim\b|encerr|einde|opzeg|\bslut|avslut|opsig|oppsig|uppsag|koniec"
    r"|konec|ukonc|zakoncz|vege\b"
    r"|дата (?:оттока|ухода|расторж|отключ|закрыт|оконч)|解約日|退会日"
    r"|paatty|\bto\b|until|\bbis\b|jusqu|hasta|valid to|expir|ablauf"
)
BEGIN = re.compile(
    r"\bbeg[iau]n|\bstart|\bsign|\bjoin|activat|\bcreat|\bopen|regist|\bsince\b|enrol|onboard"
    r"|eintritt|beginn|abschluss"
    r"|anmeld|\bdebut|souscri|\bentree\b|adhesion|\balta\b|inicio|apertura|inizio|attivaz|aanvang"
    r"|ingang|oprett|poczat"
    r"|zacat|\bkezd|\balku|\balkam|\bfrom\b|\bvon\b|\bdepuis\b|\bdesde\b|\bdal\b|\bab\b|first"
    r"|subscri|effective|inscri"
    r"|подключ|регистр|заключ|契約日|入会日|加入日"
)
# An end that was agreed beforehand says nothing of who left.
PLANNED = re.compile(
    r"expir|renew|plan|due|next|term end|commit|minimum|ablauf|verlang|echeance|vencim|scadenz"
    r"|warranty"
)
# A day that moves on while the contract runs is not its begin.
MOVING = re.compile(
    r"\blast|latest|recent|updat|modif|letzt|dernier|ultim|laatst|senast|sidst|siste|ostatni"
    r"|posledn"
)
DAY = re.compile(
    r"date|datum|dato\b|datu[mn]|\bdata\b|fecha|\bday\b|\btag\b|\bjour\b|\bdia\b|giorno|month|monat"
    r"|\bmois\b|\bmes\b|mese"
    r"|maand|maned|period|\btime|zeit|timestamp|\bdt\b|\bts\b|snapshot|stichtag|week|woche|\bon\b"
    r"|\bat\b"
)
PERIOD = re.compile(
    r"month|monat|\bmois\b|\bmes\b|\bmese\b|maand|maned|miesiac|mesic|period|snapshot|stichtag"
    r"|as of|asof|observation"
    r"|report|extract|\bdate\b|datum|\bfecha\b|\bdata\b|week|woche|quarter|quartal|year|\bym\b"
    r"|yyyymm"
)
CUSTOMER = re.compile(
    r"custom|\bcust|acct|\bkd ?nr|\bknr\b|\buid\b|\bcid\b|client|kund|klant|klient|zakazn|subscri"
    r"|abonn|account|konto"
    r"|compte|cuenta|conto\b|member|mitglied"
    r"|membre|user|utilis|usuario|utente|gebruik|msisdn|phone|telefon|telephone|policy|police"
    r"|poliza|polizz|contract"
    r"|vertrag|contrat|contratto|kontrakt|person|household|insured|card\b|msno|vkont|asiakas|ugyfel"
    r"|musteri"
    r"|клиент|абонент|договор|пользоват|顧客|会員|客户|客戶|用户|고객|회원"
)
# Rows that customers come for: they are gone when there are none.
CAME = re.compile(
    r"order|purchas|transact|payment|invoice|receipt|basket|sale|booking|visit|login|log in|session"
    r"|activit|usage|trip|ride|stay|donation|deposit|play|listen|stream"
    r"|bestell|kauf|buchung|zahlung|rechnung|besuch|commande|achat|paiement|facture|visite"
    r"|pedido|compra|pago|factura|ordin|acquist|pagament|bestelling|aankoop|betaling|zakup"
    r"|zamow|objednav|nakup|заказ|покуп|платеж|注文|購入|订单|주문"
)
IDENTITY = re.compile(
    r"(?<!pa)(?<!val)(?<!vo)(?<!med)ids?\b|\bno\b|\bnr\b|\bnum\b|number|nummer|numero|\bcode\b"
    r"|\bkey\b|uuid|guid|\bref\b|\bcislo\b"
    r"|\bид\b|номер|番号|编号|번호"
)
NUMBERED = re.compile(r"(?:column|col|var|field|feature) ?\d+")
HOW_MANY = re.compile(
    r"\b(?:number|num|no|nr|count) of\b|\bnb\b|\bnombre de|\banzahl\b|\bnumero d|\bantall?\b"
    r"|\baantal\b|(?<!ac)(?<!dis)count\b"
)
# What is counted: 0 of them is an answer.
COUNTS = re.compile(
    r"(?<!ac)(?<!dis)counts?\b|anzahl|\bnumber of|\bnum\b|\bnb\b|\bnr of|\bcalls?\b"
    r"|orders?\b|visits?\b|logins?\b|tickets?\b|messages?\b|items?\b|products?\b|complaints?\b|claims\b|minutes\b"
    r"|purchases\b|bookings\b|sessions?\b|clicks?\b|days\b|months\b|children|dependents"
    r"|anrufe|bestellungen|appels|commandes|llamadas|pedidos|chiamate|ordini"
)
ROW_NUMBER = re.compile(
    r"^(?:row ?(?:number|num|no|nr|id|index)?|index|idx|unnamed.*|x|x1|nr|no|sno|s no"
    r"|serial(?: ?(?:number|no))?|zeile"
    r"|zeilennummer|ligne|lfd ?nr|fila|riga|line ?(?:number|no)?)$"
)
PERSON = re.compile(
    r"surname|(?:last|first|family|full) ?name|nachname|vorname|prenom|\bnom\b|apellido|cognome"
    r"|sobrenome|achternaam"
    r"|voornaam|efternavn|fornavn|etternavn|efternamn|nazwisko|imie\b|prijmeni|jmeno|sukunimi"
    r"|e ?mail|\bmail\b|msisdn"
    r"|phone ?(?:no|nr|num|number)|telefon ?(?:nr|nummer)?$|telephone$|\bmobile ?(?:no|nr|num"
    r"|number)|address|adresse"
    r"|direccion|indirizzo|endereco|street|strasse|\bstrase|\brue\b|\bcalle\b|\biban\b|\bssn\b"
    r"|passport|\bip$"
    r"|фамили|\bимя\b|телефон|адрес|氏名|電話|住所"
    r"|^name$|(?:customer|client|kunden|user) ?name|credit card num"
)
CODE = re.compile(
    r"\bzip|postal|postcode|\bplz\b|post ?code|code postal|area ?code|region ?code|branch ?code"
    r"|\bcap\b|\bcode\b|\bid\b"
    r"|\bcod\b|codigo|kennung|cluster|segment|\bclass\b|\bgroup\b|gruppe|groupe|grupo|category"
    r"|kategor|categor"
)
COUNTED = re.compile(
    r"\bage\b|\balter\b|\bedad\b|\beta\b|tenure|months?\b|monate|\bmois\b|years?\b|jahre|\bdays\b"
    r"|\btage\b|(?<!ac)count\b|anzahl"
    r"|\bnum\b|number of|nombre|\bnb\b|minutes|seniority|anciennete|antiguedad"
)
TOTAL = re.compile(
    r"total|cumul|\bsum\b|lifetime|gesamt|summe|somme|suma|to date|totale|insgesamt|ltd\b|ytd\b"
    r"|revenue"
)
TENURE = re.compile(
    r"tenure|months? on book|seniority|ancienn|antiguedad|anzianita|laufzeit|account length"
    r"|customer since|lifetime"
    r"|vertragsdauer|months? (?:with|since)|subscription length|duree|duration"
)
# What by its name is known only after the fact, or is the output of a model.
AFTERWARDS = re.compile(
    r"churn|attrit|reason|grund\b|kundigungsgrund|motif|motivo|cancel|terminat|\bclosed?\b"
    r"|\bended?\b|\bend date|exit"
    r"|\bleft\b|lapsed|resili|kundig|kuendig|\bbaja\b|disdett|opzeg|classifier|predict|propensity"
    r"|probabilit|likelihood"
    r"|retention|winback|win back|refund|storno|score of churn|offboard|deactiv|depart"
)
# What by its name another model said of the customer.
MODEL_OUTPUT = re.compile(
    r"classifier|\bpredict|\bpred\b|\bpredicted\b|propensity|(?:churn|attrition|leav\w*|exit|cancel\w*)"
    r" ?(?:risk )?(?:score|prob|risk|index|segment|likelihood|scoring)"
)
# The same of what the model may have spoken of something else, such as of a credit.
SCORED = re.compile(r"probabilit|likelihood|\brisk ?(?:score|prob|index|segment)|\bscoring\b")
# What stands beside a word of leaving in the name of what is written when somebody leaves:
# `churn_date`, `exit reason`, `cancellation_requests`, `left_on`.
_OF_LEAVING = frozenset(
    (
        "date", "day", "dt", "on", "at", "time", "timestamp", "ts", "datum", "dato", "data",
        "fecha", "tag", "jour", "dia", "giorno", "am", "event", "events", "log", "logs", "survey",
        "surveys", "interview", "interviews", "feedback", "request", "requests", "requested",
        "notice", "notices", "note", "notes", "record", "records", "list", "table", "history",
        "type", "kind", "code", "category", "detail", "details", "effective", "by", "for",
        "contract", "subscription", "vertrag", "vertrags", "contrat", "abo", "to", "until",
    )
)  # fmt: skip
# What may be offered or paid long before: `cancellation policy`, `surrender value`.
_OF_CUSTOMERS = frozenset(
    ("offer", "offers", "policy", "discount", "fee", "fees", "rate", "value", "num", "1", "0")
)
# A word of leaving that names a state or a balance as often: `days inactive`, `lost calls`.
_VAGUE = re.compile(r"inactiv|inaktiv|inactif|inattiv|inativ|lost|gone|dropped|perd|weg")
# An earlier time that somebody left, or what others did, is a fact of the past.
_EARLIER = re.compile(
    r"previous|\bprior|\bpast\b|before|earlier|\bformer|\bvorher|\bavant|anterior|preced"
)
CHURN = re.compile(r"churn|attrit")
# A campaign, and how long its contact lasted: the longer one talks, the more is agreed.
CONTACTED = re.compile(r"campaign|kampagne|\bcontact|\bpdays\b|p ?outcome|campagne|campan|kontakt")
LASTED = re.compile(
    r"(?:(?:last |this )?(?:call|contact|talk|conversation) )?"
    r"(?:duration|length|dauer|duree|duracion)"
    r"(?: (?:of )?(?:the )?(?:last )?(?:call|contact|talk))?"
    r"(?: (?:in )?(?:s|sec|secs|seconds|min|minutes))?"
)
# The time at which something came to be known, where it has another at which it happened.
KNOWN_AT = re.compile(
    r"record|\bknown\b|report(?:ed)?\b|receiv|\bentered\b|\bentry\b|\bposted\b|\bposting\b"
    r"|booked|\bloaded\b|\bingest|\binsert|\blogged\b|notif|\bfiled\b|regist|submit|creat"
    r"|erfasst|gemeldet|gebucht|eingang|\bsaisi|enregistr|comptabil"
)
# Recent or falling use: the classic honest sign that somebody will leave.
USE = re.compile(
    r"\buse\b|\busage|\bused\b|visit|login|log in|session|activ|minutes|traffic|stream|watch|listen"
    r"|attend|class(?:es)? frequency|frequency|recency|idle|days? since|since last|last seen"
    r"|nutzung|besuch|utilis|frequent|visite|uso\b"
)
YES = frozenset(
    (
        "yes", "y", "true", "t", "1", "vrai", "v", "oui", "o", "ja", "j", "wahr", "w", "si", "s",
        "sim", "verdadero",
        "vero", "verdadeiro", "tak", "ano", "a", "igen", "kylla", "da", "on", "+", "да", "так",
        "evet", "e",
        "はい", "有", "是", "예",
    )
)  # fmt: skip
NO = frozenset(
    (
        "no", "n", "false", "f", "0", "-1", "faux", "non", "nein", "nee", "nej", "nei", "falsch",
        "nao", "falso", "nie", "ne", "nem", "ei", "off", "-", "нет", "ні", "hayir", "hay\u0131r",
        "h", "いいえ", "無", "无", "否", "아니오",
    )
)  # fmt: skip
# Texts that stand for a missing value in any column; `none` and `no` are answers as often as not.
MISSING = frozenset(
    (
        "?", "??", "n/a", "na", "n.a.", "#n/a", "#na", "#value!", "null", "(null)", "<null>", "\\n",
        "nan", "-nan", "-",
        "--", "---", "n/d", "nd", "n.d.", "unknown", "unk", "missing", "undefined", "not available",
        "not known",
        "not specified", "unspecified", "unbekannt", "k.a.", "k. a.", "ka", "keine angabe",
        "inconnu", "inconnue",
        "non renseigne", "nc", "desconocido", "desconocida", "sin dato", "sconosciuto",
        "sconosciuta", "desconhecido",
        "onbekend", "ukjent", "ukendt", "okand", "nieznany", "nieznane", "brak", "brak danych",
        "neznamy", "neuvedeno",
        "ismeretlen", "tuntematon", "(blank)", "blank", "<na>", "nat", "(missing)", "*", ".",
    )
)  # fmt: skip
ALSO_MISSING_AMONG_NUMBERS = frozenset(
    ("none", "no", "n", "nil", "inf", "-inf", "error", "keine", "aucun", "ninguno")
)
# How much the name of a column says for it being the answer; what its values say is added.
CALLED_CHURN, CALLED_LEAVING = 4.0, 3.0
SURE = CALLED_LEAVING  # from here on there is no doubt
CALLED_TARGET = 1.5  # what may be called so otherwise, too: `class`, `subscriber`
LIKELY = CALLED_TARGET  # from here on it is an answer, if nothing says more
CALLED_LEAVING_AND_MORE = 1.0  # in a longer name; `retained`; `churn_risk_score`
CALLED_STATUS = 0.5
_OTHER_WORD = 0.6  # less for each word that says something else
_BETWEEN_WORDS = re.compile(r"(?<=[^\W\d])[\s_-]+(?=[^\W\d])")
WHOLE_NUMBER = re.compile(r"(-?\d+)(?:\.0+)?")
MOST_STRANGERS = 3  # different texts that may stand for `none` in a column of numbers or dates


@cache
def plain(text: str) -> str:
    """Return a name as words in lower case, without accents: `Kündigungs_Datum` ->
    `kundigungs datum`.
    """
    spaced = re.sub(r"(?<=[a-zà-ÿ0-9])(?=[A-ZÀ-Þ])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    return " ".join(re.findall(r"[^\W_]+", without_accents(spaced)))


def without_accents(text: str) -> str:
    """Return a text in lower case without accents."""
    folded = text.replace("ł", "l").replace("Ł", "l").replace("ø", "o").replace("Ø", "o").casefold()
    bare = "".join(
        part for part in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(part)
    )
    return unicodedata.normalize("NFC", bare)  # Korean syllables come together again


def bare(text: str) -> str:
    """Return an answer as `YES` and `NO` have it: `True.` -> `true`, `1.0` -> `1`."""
    own = without_accents(text.strip()).rstrip(".")
    try:
        return f"{float(own):g}"
    except ValueError:
        return own


def counts_something(name: str) -> bool:
    """Whether a column's name says that it counts, so that 0 means none."""
    words = plain(name)
    return bool(COUNTS.search(words) or HOW_MANY.search(words))


def means_missing(text: str) -> bool:
    """Whether a text, in any column, stands for a value that is not known."""
    return without_accents(text.strip()) in MISSING


def is_named_so(name: str) -> bool:
    """Whether a column's name speaks of the answer."""
    return rate_label_name(plain(name)) >= LIKELY


def find_named_so(names: Iterable[str]) -> list[str]:
    """Return the names that speak most of the answer, if any does."""
    rated = {name: rating for name in names if (rating := rate_label_name(plain(name))) >= LIKELY}
    return [name for name, rating in rated.items() if rating == max(rated.values())]


def rate_label_name(name: str) -> float:
    """Return how much a plain name says for a column being the answer: 0 nothing, `SURE`
    and more leave no doubt.
    """
    if SPOILING.search(name):
        # `churn_risk_score` of 0 and 1, where nothing else is.
        return CALLED_LEAVING_AND_MORE if re.search("churn|attrit", name) else 0
    if match := LEAVING.search(name):
        others = [word for word in name.split() if word not in NEUTRAL and not LEAVING.search(word)]
        others += COUNTING.findall(name)
        base = CALLED_CHURN if match[0] in ("churn", "attrit") else CALLED_LEAVING
        return max(base - _OTHER_WORD * len(others), CALLED_LEAVING_AND_MORE)
    if WEAK_LABEL.fullmatch(name) or STANDING.fullmatch(name):
        return CALLED_TARGET
    if STAYING.search(name):
        return CALLED_LEAVING_AND_MORE
    return CALLED_STATUS if STATUS.search(name) else 0


def names_outcome(name: str) -> bool:
    """Whether a plain name says that a column is the outcome itself, or is written with it:
    `churn date`, `exit reason`, `predicted churn`; not `previous churn` or `days inactive`.
    """
    if not _speaks_of_leaving(name):
        return False
    is_churn = bool(CHURN.search(name))
    for word in name.split():
        is_plural = word.endswith("s") and not is_churn and word not in ("leaves", "is")
        if LEAVING.search(word):
            if is_plural:
                return False  # how often something was cancelled
        elif not _goes_with_leaving(word, is_churn):
            return False
    return True


def _speaks_of_leaving(name: str) -> bool:
    match = LEAVING.search(name)
    return match is not None and not _EARLIER.search(name) and not _VAGUE.search(match[0])


def _goes_with_leaving(word: str, is_churn: bool) -> bool:
    if word in NEUTRAL or word in _OF_LEAVING or SPOILING.search(word):
        return is_churn or word not in _OF_CUSTOMERS
    return is_churn and bool(DAY.search(word) or COUNTING.search(word))


def names_outcomes_table(name: str) -> bool:
    """Whether a plain name says that a table holds the outcomes: `churn events`,
    `cancellations`, `exit interviews`.
    """
    is_churn = bool(CHURN.search(name))
    return _speaks_of_leaving(name) and all(
        LEAVING.search(word) or _goes_with_leaving(word, is_churn) for word in name.split()
    )


def find_spellings(counts: Mapping[str, int]) -> dict[str, str]:
    """Return other spellings of a value -> the most frequent one: cases, accents,
    spaces or hyphens; `1.0` of `1`.
    """
    usual: dict[str, str] = {}
    codes: dict[str, str] = {}
    for text in counts:  # the most frequent first
        whole = WHOLE_NUMBER.fullmatch(text)
        key = whole[1] if whole else _BETWEEN_WORDS.sub("", without_accents(text))
        # `a` and `A` may be two codes.
        is_letter = text.isalpha() and len(text) == 1 and len(counts) > 4
        if (
            (whole or any(map(str.isalpha, text)))
            and not is_letter
            and usual.setdefault(key, text) != text
        ):
            codes[text] = usual[key]
    said = _find_yes_and_no([text for text in counts if text not in codes])
    return {text: said.get(usual, usual) for text, usual in codes.items()} | said


def _find_yes_and_no(texts: Sequence[str]) -> dict[str, str]:
    """Return `Y` and `1` -> `Yes`, `N` and `0` -> `No`, where a column has both the
    words and what stands for them.
    """
    codes: dict[str, str] = {}
    for kind in (YES, NO):
        said = [text for text in texts if bare(text) in kind]
        full = next((text for text in said if len(bare(text)) > 1), None)  # the most frequent
        if full is None:
            return {}
        short = (bare(full)[0], "1" if kind is YES else "0")
        codes |= {text: full for text in said if bare(text) in short}
    return codes


def find_abbreviations(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of values that may be the same: `COD` and `Cash on Delivery`,
    `Mobile` and `Mobile Phone`.
    """
    found = []
    for short, long in itertools.permutations(texts, 2):
        words_of_long, own = long.casefold().split(), short.casefold()
        is_initials = len(words_of_long) > 1 and own == "".join(word[0] for word in words_of_long)
        is_part = len(own) >= 3 and (long.casefold().startswith(own) or words_of_long[-1:] == [own])
        if own != long.casefold() and own.replace(" ", "").isalpha() and (is_initials or is_part):
            found.append((short, long))
    return found[:MOST_STRANGERS]
