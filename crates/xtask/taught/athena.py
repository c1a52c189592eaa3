"""Athena: `"$path"`, values for question marks, types of JSON columns, bytes in answers, and saved queries in templates.

`"$path"` is a hidden column: the address of the object that a row is of (Athena User Guide, "Get the file locations for source
data in Amazon S3"). A name finds it, `*` does not.

Values for question marks (same guide, "Use parameterized queries"): `ExecutionParameters` are put in the places of the question
marks in their order, each as the literal that it is, so that a text has its quotes. More or fewer values than places are refused
when the query is submitted.

A JSON object's members are read as the columns that the table defines (same guide, "OpenX JSON SerDe"): types are not guessed from
what the objects hold, a member that is missing is NULL, and an object without a line is a table without a row.

Bytes in an answer are pairs of hexadecimal digits with a space between.

A saved query in a template (CloudFormation Template Reference, `AWS::Athena::NamedQuery`): Ref is its id, and another text is another
query.

Not played: partition projection, for which the emulator looks at all objects; the name `$path` of a column in an answer.
"""

import json
import os
import re
import tempfile
from urllib.parse import urlparse

from ministack.core.responses import error_response_json
from ministack.services import athena
from ministack.services.cloudformation import provisioners

from taught.replacing import wrap

_SAVED_QUERY = "AWS::Athena::NamedQuery"
# Where the objects of a query lie while it runs.
_ROOT = "taught-athena-"


def teach() -> None:
    wrap(athena, "_start_query_execution", _filling_in)
    wrap(athena, "_materialize_table_files", _under_their_addresses)
    wrap(athena, "_table_relation", _with_columns_of_the_table)
    wrap(athena, "_rewrite_data_paths", _knowing_path)
    wrap(athena, "_datum_text", _knowing_bytes)
    provisioners._RESOURCE_HANDLERS[_SAVED_QUERY] = {"create": _create_saved_query, "delete": _delete_saved_query}
    provisioners._REPLACING_PROPERTIES[_SAVED_QUERY] = ("Name", "Description", "Database", "QueryString", "WorkGroup")


# ---- Values for question marks -------------------------------------------------------------------------------------


def _filling_in(original):
    def start(request):
        values = request.get("ExecutionParameters") or []
        query = request.get("QueryString", "")
        places = [at for kind, text, at, _ in athena._sql_tokens(query) if (kind, text) == ("punct", "?")]
        if len(values) != len(places):
            said = f"Incorrect number of parameters: expected {len(places)} but found {len(values)}"
            return error_response_json("InvalidRequestException", said, 400)
        for at, value in reversed(list(zip(places, values))):
            query = query[:at] + value + query[at + 1 :]
        return original({**request, "QueryString": query})

    return start


# ---- "$path" -------------------------------------------------------------------------------------------------------


def _under_their_addresses(original):
    """Objects are copied to a folder in which bucket and key are the path, so that a file's name tells its address."""

    def materialize(location, workdirs):
        files = original(location, workdirs)
        if not files:
            return files
        copied, root = workdirs.pop(), tempfile.mkdtemp(prefix=_ROOT)
        workdirs.append(root)
        address = urlparse(location)
        place = os.path.join(root, address.netloc, address.path.strip("/"))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.rename(copied, place)
        return [place + file[len(copied) :] for file in files]

    return materialize


def _knowing_path(original):
    async def rewrite(query, database, catalog=None):
        query, buckets, workdirs = await original(query, database, catalog)
        tokens = list(athena._sql_tokens(query))
        for i in range(len(tokens) - 1, -1, -1):
            kind, text, start, end = tokens[i]
            if (kind, text) != ("qname", "$path"):
                continue
            qualifier = ""
            if i >= 2 and tokens[i - 1][:2] == ("punct", ".") and tokens[i - 2][0] in ("name", "qname"):
                start = tokens[i - 2][2]
                qualifier = query[start : tokens[i - 2][3]] + "."
            # The reader's own hidden column.
            told = f"('s3://' || regexp_replace({qualifier}filename, '^.*/{_ROOT}[^/]*/', ''))"
            query = query[:start] + told + query[end:]
        return query, buckets, workdirs

    return rewrite


# ---- Types of columns ----------------------------------------------------------------------------------------------


def _with_columns_of_the_table(original):
    def relation(table, files):
        columns = (table.get("StorageDescriptor") or {}).get("Columns") or []
        if athena._data_format(table) != "json" or not columns:
            return original(table, files)
        of = ", ".join(f"{_quoted(column['Name'])}: {_quoted(athena._duckdb_type(column))}" for column in columns)
        hive = athena._hive_options(athena._path_partition_keys(table, files))
        return f"read_json({athena._sql_list(files)}, format = 'newline_delimited', columns = {{{of}}}, {hive})"

    return relation


def _knowing_bytes(original):
    return lambda value: value.hex(" ") if isinstance(value, (bytes, bytearray)) else original(value)


def _quoted(text: str) -> str:
    return "'" + re.sub("'", "''", text) + "'"


# ---- Saved queries in templates ------------------------------------------------------------------------------------


def _create_saved_query(_logical_id, properties, _stack_name):
    if properties.get("WorkGroup", "primary") not in athena._workgroups:
        raise ValueError(f"WorkGroup {properties['WorkGroup']} is not found.")
    _status, _headers, answer = athena._create_named_query(properties)
    known = json.loads(answer)["NamedQueryId"]
    return known, {"NamedQueryId": known}


def _delete_saved_query(physical_id, _properties):
    athena._delete_named_query({"NamedQueryId": physical_id})
