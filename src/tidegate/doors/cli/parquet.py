"""Rows of a Parquet file, where pyarrow is installed: `tidegate[parquet]`."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tidegate.kernel.errors import Invalid, NotFound

__all__ = ["rows_of_parquet"]


def rows_of_parquet(file: Path, columns: Collection[str]) -> list[Mapping[str, Any]]:
    """The rows, of which only `columns` are read. Raises NotFound for a file or a column that is not there, Invalid for
    what is no Parquet file, and with code `parquet_unread` where pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: PLC0415  # optional extra
        import pyarrow.parquet  # noqa: PLC0415  # optional extra
    except ImportError as error:
        said = f"{file} is a Parquet file, and what reads it is not installed."
        mend = "Install it: pip install 'tidegate[parquet]'. Or write the file out as CSV or JSONL."
        raise Invalid(said, mend=mend, code="parquet_unread") from error
    try:
        with pyarrow.parquet.ParquetFile(file) as found:
            names = found.schema_arrow.names
            missing = [column for column in columns if column not in names]
            if missing:
                raise NotFound("column", missing[0], known=names, mend=f"{file} has: {', '.join(names)}.")
            rows: list[Mapping[str, Any]] = found.read(columns=sorted(set(columns))).to_pylist()
    except FileNotFoundError as error:
        raise NotFound("file", str(file), mend="Name a CSV, JSONL or Parquet file.") from error
    except (OSError, pyarrow.ArrowException) as error:
        said = f"{file} cannot be read: {str(error).rstrip('.')}."
        raise Invalid(said, mend="Name a CSV, JSONL or Parquet file.", code="bad_file") from error
    return rows
