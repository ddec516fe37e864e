"""Beyond one machine: Apache Beam pipelines, run by worker processes here or by Google Cloud Dataflow."""
