"""The section `cloud_sql` of a params file: which instance the target is, and the backups that Cloud SQL itself takes of it."""

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class CloudSql(BaseModel):
    """The target as Google Cloud knows it. Off by default: nothing is asked of the Admin API."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instance: str | None = Field(None, description="the target's instance, `project:region:instance`")
    backups: bool = Field(
        False,
        description="whether Cloud SQL backs the instance up before each phase that writes to it",
    )
    keep: int = Field(
        3, ge=1, le=1000, description="of the backups that the workbook had taken, the latest so many are kept"
    )
    location: str | None = Field(
        None, description="where backups are kept, such as `eu` or `europe-west4`; none: as the instance says"
    )
    wait_s: float = Field(3600, gt=0, le=86400, description="seconds that a backup is waited for at most")
    endpoint: str | None = Field(
        None, description="another address of the Admin API, such as one of Private Service Connect; none: Google's"
    )

    @field_validator("instance")
    @classmethod
    def _instance(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(
            r"([a-z0-9.-]+:)?[a-z][a-z0-9-]*:[a-z0-9-]+:[a-z][a-z0-9-]{0,97}", name
        ):
            raise ValueError("must look like project:region:instance")
        return name

    @field_validator("location")
    @classmethod
    def _location(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise ValueError("must be a region or a multi-region, such as europe-west4 or eu")
        return name

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must look like https://host")
        if parts.username or parts.password:
            raise ValueError("must hold no login: that of the machine is used")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("must be https: the login would be read on the way")
        _ = parts.port
        return url

    @model_validator(mode="after")
    def _whole(self) -> "CloudSql":
        if self.backups and self.instance is None:
            raise ValueError("backups need an instance: project:region:instance")
        return self

    @property
    def anonymous(self) -> bool:
        """Whether the API is asked without a login: on loopback alone, where only a stand-in can be."""
        return self.endpoint is not None and urlsplit(self.endpoint).hostname in _LOOPBACK
