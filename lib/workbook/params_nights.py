"""The settings of unattended runs: whom to tell (section `notify`), and what to keep (section `retention`)."""

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

REFERENCE = re.compile(r"(env|file|secret-manager):")


class Notify(BaseModel):
    """Who hears when the state of the environment changes: a phase goes wrong, another one does, all is good again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook: str | None = Field(
        None, description="gets a POST with JSON: a URL, or a reference where the URL itself is the secret"
    )
    webhook_token: str | None = Field(None, description="sent as `Authorization: Bearer`, as a reference", repr=False)
    mail_server: str | None = Field(None, description="`smtp://user@host:587` (STARTTLS where offered) or `smtps://…`")
    mail_password: str | None = Field(None, description="its password, as a reference", repr=False)
    mail_from: str | None = Field(None, description="the sender's address")
    mail_to: tuple[str, ...] = Field((), description="the addresses that get a mail")
    site_url: str | None = Field(None, description="where the reports are published, for the link in the message")

    @field_validator("webhook", "site_url")
    @classmethod
    def _url(cls, url: str | None, about: ValidationInfo) -> str | None:
        referred = about.field_name == "webhook" and url is not None and REFERENCE.match(url)
        if url is not None and not referred and not _is_url(url, ("http", "https")):
            raise ValueError("must be an http or https URL, without a password in it")
        return url

    @field_validator("mail_server")
    @classmethod
    def _server(cls, url: str | None) -> str | None:
        if url is not None and not _is_url(url, ("smtp", "smtps")):
            raise ValueError("must look like smtp://user@host:587 or smtps://user@host:465, without a password in it")
        return url

    @field_validator("mail_from", "mail_to")
    @classmethod
    def _addresses(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for address in (value,) if isinstance(value, str) else value or ():
            if not re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", address):
                raise ValueError(f"{address!r} is no address of the form name@host")
        return value

    @model_validator(mode="after")
    def _whole(self) -> "Notify":
        if self.mail_server and not (self.mail_from and self.mail_to):
            raise ValueError("a mail needs mail_server, mail_from and mail_to")
        return self


class Retention(BaseModel):
    """Which old runs are let go after each run, and by `workbook tidy`; none: all are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runs: int | None = Field(None, ge=1, description="the latest so many runs are kept; none: as `days` says alone")
    days: float | None = Field(None, gt=0, description="runs younger than this are kept; none: as `runs` says alone")


def _is_url(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and not parts.password and (parts.port or 1) > 0
    except ValueError:
        return False
