"""The migration workbook: MySQL to Cloud SQL and BigQuery, phase by phase, with proof and a way back."""

import sys

# jsonschema, which Jupyter and plotly import, compiles a grammar of international URIs where this package is installed:
# seconds at the start of every notebook, for a check that nothing here asks for. It does without where there is none.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
