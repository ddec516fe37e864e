"""Which columns look personal, by name or by content, and the shape that is shown in place of a value."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from workbook.catalog import Column

_TEXT = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json")
_BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_NUMBERS = ("int", "bigint", "decimal", "float", "double")
_DATES = ("date", "datetime", "timestamp")


@dataclass(frozen=True)
class NameRule:
    """Words of a column's name that mark it as personal (`kind`), or as harmless (`kind` None), for some types."""

    words: str
    kind: str | None
    types: tuple[str, ...] = (*_TEXT, *_BYTES, *_NUMBERS, *_DATES)


# The first match wins. A name is compared word by word: camelCase, snake_case, spaces and hyphens part words.
NAME_RULES: tuple[NameRule, ...] = (
    NameRule(r"(file|host|domain|product|event|table|column|class|package|device|index|schema|database) name", None),
    NameRule(r"(email|mail|phone|card|token|password|login|address|birth) (id|count|type|kind|status|flag|confirmed)", None),
    NameRule(r".* (id|count|flag|type|status)", None, _NUMBERS),
    NameRule(r"(.* )?(passwords?|passwd|pwd|secrets?|tokens?|salt|api key|apikey|private key|credentials?|otp|pin|session)( .*)?", "secret"),
    NameRule(r"(.* )?(e ?mails?|mails?|mail address|correo)( .*)?", "mail address"),
    NameRule(r"(.* )?(i?phones?|telephones?|telefon|telefono|tel|mobile|handy|fax|msisdn|whatsapp)( .*)?", "phone number"),
    NameRule(r"(.* )?(ips?|ipv4|ipv6|ip address|ipaddress|remote addr|mac address)( .*)?", "network address", (*_TEXT, *_BYTES, *_NUMBERS)),
    NameRule(r"(.* )?(iban|bic|swift|bank account|account (no|nr|number)|routing number|konto)( .*)?", "bank account", (*_TEXT, *_BYTES, *_NUMBERS)),
    NameRule(r"(.* )?(cards?|pan|cvv|cvc|card number|credit card)( .*)?", "payment card", (*_TEXT, *_BYTES, *_NUMBERS)),
    NameRule(r"(.* )?(ssn|social security|passport|national id|tax (id|no|number)|vat (id|no|number)|driving licen[cs]e|identity)( .*)?", "identity number", (*_TEXT, *_BYTES, *_NUMBERS)),
    NameRule(r"(.* )?(birth|born|dob|birthday|birthdate|geburt|geburtsdatum|geboren|death)( .*)?", "birth date"),
    NameRule(r"(.* )?(salary|salaries|wage|wages|income|gehalt|pay)", "pay", _NUMBERS),
    NameRule(r"(.* )?(address(es)?|adresse|addr|street|strasse|straße|zip|zip code|postcode|postal code|postal|plz|line ?[1-4]|house (no|number)|lat|latitude|lon|lng|longitude)( .*)?", "postal address", (*_TEXT, *_BYTES, "float", "double", "decimal")),
    NameRule(r"(.* )?(names?|surname|forename|firstname|lastname|fullname|nachname|vorname|prenom|prénom|nom|apellidos?|nickname|nick|username|user|login|author|recipient|contact|signature)( .*)?", "person's name", (*_TEXT, *_BYTES)),
    NameRule(r".* by", "person's name", _TEXT),
    NameRule(r"(.* )?(comments?|notes?|remarks?|messages?|bemerkung|notiz|nachricht)", "free text", _TEXT),
)  # fmt: skip

# Values that are looked at for kinds that other values resemble.
_LOOKED_AT = 500


class _Shapes(dict[int, str]):
    """The letter of the shape for each code point: anything beyond ASCII is *."""

    def __missing__(self, point: int) -> str:
        return chr(point) if point < 128 else "*"


_SHAPES = _Shapes(
    {**dict.fromkeys(range(48, 58), "9"), **dict.fromkeys(range(65, 91), "A"), **dict.fromkeys(range(97, 123), "a")}
)
_RUN = re.compile(r"([Aa9*])\1+")
_MAIL = re.compile(r"[^\s@<>,;\"']{1,64}@[\w-]+(\.[\w-]+)+")
_PHONE = re.compile(r"\s*(\+|00|0|\()[\d\s()/.\-]{6,22}\s*")
_DATE = re.compile(r"\s*\d{1,4}[./-]\d{1,2}[./-]\d{1,4}.*")
_IBAN = re.compile(r"\s*[A-Za-z]{2}\d{2}( ?[A-Za-z0-9]){11,30}\s*")
_IPV4 = re.compile(r"\s*(\d{1,3}\.){3}\d{1,3}\s*")
_SOCIAL = re.compile(r"\s*\d{3}-\d{2}-\d{4}\s*")


def personal_by_name(column: Column) -> str | None:
    """What kind of personal value the name of `column` promises, or None. A choice from a list is never personal."""
    if column.data_type not in (*_TEXT, *_BYTES, *_NUMBERS, *_DATES) or column.type.lower().startswith("tinyint(1)"):
        return None
    words = " ".join(_words(column.name))
    for rule in NAME_RULES:
        if column.data_type in rule.types and re.fullmatch(rule.words, words):
            return rule.kind
    return None


def personal_by_content(values: Iterable[object]) -> str | None:
    """What kind of personal value a sample of `values` looks like, or None.

    One mail address or valid IBAN is enough; phone numbers, network addresses and card numbers, which other values
    resemble, must make up a good part.
    """
    different = dict.fromkeys(value for value in values if isinstance(value, str | int))
    texts = [value for value in different if isinstance(value, str) and value.strip()]
    for text in texts:
        if kind := _certain(text):
            return kind
    texts = texts[:_LOOKED_AT]
    if texts:
        many = max(3, len(texts) * 0.3)
        if sum(map(_is_phone, texts)) >= many:
            return "phone number"
        if sum(_IPV4.fullmatch(text) is not None for text in texts) >= many:
            return "network address"
        if sum(_SOCIAL.fullmatch(text) is not None for text in texts) >= many:
            return "identity number"
    numbers = texts or [str(value) for value in different][:_LOOKED_AT]
    # One number in ten passes Luhn's check by chance.
    if len(numbers) >= 5 and sum(map(_is_card, numbers)) >= len(numbers) * 0.8:
        return "payment card"
    return None


def looks_personal(value: object) -> bool:
    """Whether one value by itself is plainly personal, in a column that otherwise is not."""
    return isinstance(value, str) and (_certain(value) is not None or (value.strip()[:1] == "+" and _is_phone(value)))


def shape(value: object, limit: int = 40) -> str:
    """The shape of a value: A and a for letters, 9 for digits, * for other alphabets, runs drawn together; bytes by length."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = _RUN.sub(r"\1+", str(value)[:400].translate(_SHAPES))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def markdown() -> str:
    """The rules of personal names as a Markdown table, for the README."""
    lines = ["| words of the column's name | taken for | types |", "| --- | --- | --- |"]
    every = NameRule("", None).types
    for rule in NAME_RULES:
        words = rule.words.replace("|", "\\|")
        types = "any but choices" if rule.types == every else ", ".join(rule.types)
        lines.append(f"| `{words}` | {rule.kind or 'not personal'} | {types} |")
    return "\n".join(lines)


def _words(name: str) -> list[str]:
    parted = re.sub(r"([a-zà-ÿ0-9])([A-Z])", r"\1 \2", name)
    return re.sub(r"[\W_]+", " ", parted).lower().split()


def _certain(text: str) -> str | None:
    if _MAIL.search(text):
        return "mail address"
    if _IBAN.fullmatch(text) and _is_iban(text):
        return "bank account"
    return None


def _is_phone(text: str) -> bool:
    digits = sum(letter.isdigit() for letter in text)
    return bool(_PHONE.fullmatch(text)) and 7 <= digits <= 15 and not _DATE.fullmatch(text)


def _is_iban(text: str) -> bool:
    plain = re.sub(r"\s", "", text).upper()
    moved = plain[4:] + plain[:4]
    # ISO 13616: letters count from 10, and the whole number leaves 1 modulo 97.
    return plain.isascii() and int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1


def _is_card(text: str) -> bool:
    digits = re.sub(r"[ -]", "", text)
    if not re.fullmatch(r"[0-9]{13,19}", digits):
        return False
    total = 0
    for place, letter in enumerate(reversed(digits)):
        number = int(letter) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0
