"""The settings of change capture, the section `cdc` of a params file."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Cdc(BaseModel):
    """Change capture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    transport: Literal["direct", "pubsub"] = Field(
        "direct", description="how changes travel: direct, from the engine to the target; pubsub, over Google's Pub/Sub"
    )
    apply: Literal["local", "beam"] = Field(
        "local", description="pubsub: who applies; beam: an Apache Beam pipeline, set under `beam` (extra `dataflow`)"
    )
    topic: str | None = Field(
        None, description="pubsub: the topic; beside it are TOPIC-apply and TOPIC-dead; none: workbook-ENVIRONMENT"
    )
    pubsub_project: str | None = Field(None, description="pubsub: the project of the topic; none: `warehouse.project`")
    pubsub_endpoint: str | None = Field(
        None,
        description="pubsub: an emulator, `host:port` or `sandbox:pubsub`; PUBSUB_EMULATOR_HOST wins; none: Google",
    )
    message_changes: int = Field(500, ge=1, le=4096, description="pubsub: changes of one message at most")
    waiting_mb: float = Field(
        64,
        gt=0,
        le=4096,
        description="pubsub: messages that come early wait in memory, beyond so many MB on the target",
    )
    sink: Literal["pubsub", "kinesis", "pulsar", "kafka"] = Field("pubsub", description="the sink of Debezium Server")
    format: Literal["json", "avro"] = Field("json", description="the form of its messages")
    sink_address: str | None = Field(None, description="the broker of pulsar or kafka; of pubsub an emulator")
    sink_region: str | None = Field(None, description="the region of kinesis")
    registry_url: str | None = Field(None, description="the schema registry of avro")
    server_id: int | None = Field(None, ge=1, lt=1 << 32, description="reads the binlog; none: from the environment")
    batch_rows: int = Field(8192, ge=1, le=100_000, description="changes of one transaction on the target, about")
    patience_s: float = Field(60, ge=0, le=3600, description="seconds that a lost server, engine or lock is waited for")
    keep_rows: bool = Field(
        False,
        description="whether the first start keeps the rows as the bulk load left them, on the target and as large as they"
        " are, so that `rollback bulk_load` has them back after changes were applied",
    )
    max_lag_s: float = Field(60, gt=0, description="behind by more than this, `cdc status` ends with status 1")
    warehouse: bool = Field(
        False, description="whether changes go on into the warehouse: a log of changes, and tables merged from it"
    )
    merge_seconds: float = Field(
        300, ge=60, le=86400, description="seconds from one merge into the warehouse to the next, while the stream runs"
    )
    merge_gb: float = Field(
        10, gt=0, description="GB that BigQuery may read for one merge, by its dry run; above, nothing is merged"
    )
    outbox_rows: int = Field(
        5_000_000,
        ge=1000,
        description="changes that wait on the target for the warehouse at most; then it waits for a load",
    )

    @field_validator("topic")
    @classmethod
    def _topic(cls, topic: str | None) -> str | None:
        # https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names, less what the names beside it add
        if topic is not None and (
            not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.~+%-]{2,240}", topic) or topic.startswith("goog")
        ):
            raise ValueError("must be 3 to 241 letters, digits and -_.~+%, a letter first, and not begin with goog")
        return topic

    @field_validator("pubsub_endpoint")
    @classmethod
    def _endpoint(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and endpoint != "sandbox:pubsub" and not re.fullmatch(r"[^/\s:]+:\d{1,5}", endpoint):
            raise ValueError("must look like host:port")
        return endpoint

    @model_validator(mode="after")
    def _beam_reads_pubsub(self) -> "Cdc":
        if self.apply == "beam" and self.transport != "pubsub":
            raise ValueError("apply: beam needs transport: pubsub, from which the pipeline reads")
        return self
