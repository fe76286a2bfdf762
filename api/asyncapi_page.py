"""The page of the AsyncAPI document: plain HTML without scripts, so that nothing comes from another site."""

import html
import json
from collections.abc import Iterator
from typing import cast

from saga.messages.json_text import Json, JsonObject

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}: messages</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }}
code, pre {{ font: 14px/1.4 monospace }}
pre {{ overflow: auto; padding: .5em; border: 1px solid #8888 }}
h2 {{ border-top: 1px solid #8888; padding-top: 1em }}
summary {{ cursor: pointer }}
</style>
<h1>{title} {version}</h1>
<p>{description}</p>
<p>For programs: <a href="asyncapi.json">asyncapi.json</a> (AsyncAPI {asyncapi}).</p>
{channels}
<h2 id="schemas">Schemas</h2>
{schemas}
</html>
"""


def page(document: JsonObject) -> str:
    """Write the page."""
    info = _object(document["info"])
    components = _object(document["components"])
    schemas = _object(components["schemas"])
    return _PAGE.format(
        title=_text(info["title"]),
        version=_text(info["version"]),
        description=_text(info["description"]),
        asyncapi=_text(document["asyncapi"]),
        channels="\n".join(_channels(document)),
        schemas="\n".join(_schema(name, schema) for name, schema in schemas.items()),
    )


def _channels(document: JsonObject) -> Iterator[str]:
    messages = _object(_object(document["components"])["messages"])
    actions = {
        _last(_object(_object(operation)["channel"])): _object(operation)
        for operation in _object(document["operations"]).values()
    }
    for name, described in _object(document["channels"]).items():
        channel = _object(described)
        operation = actions[name]
        verb = "sends" if operation["action"] == "send" else "takes"
        yield f"<h2>{_text(channel['title'])}</h2>"
        yield f"<p>Batuta {verb}: {_text(operation['summary'])}. {_place(channel)}</p>"
        if "description" in channel:
            yield f"<p>{_text(channel['description'])}</p>"
        for each in _object(channel["messages"]):
            message = _object(messages[each])
            yield (
                f"<details><summary>{_text(message['title'])} <code>{_text(each)}</code></summary>"
                f"<pre>{_written(message['payload'])}</pre></details>"
            )


def _place(channel: JsonObject) -> str:
    amqp = _object(_object(channel["bindings"])["amqp"])
    address = f"<code>{_text(channel['address'])}</code>"
    if amqp["is"] == "queue":
        return f"Queue {address}."
    return f"Exchange <code>{_text(_object(amqp['exchange'])['name'])}</code>, routing key {address}."


def _schema(name: str, schema: Json) -> str:
    anchor = f"schema-{_text(name)}"
    return (
        f'<details id="{anchor}"><summary><code>{_text(name)}</code></summary><pre>{_written(schema)}</pre>'
        "</details>"
    )


def _written(schema: Json) -> str:
    return html.escape(json.dumps(schema, indent=2, ensure_ascii=False))


def _last(reference: JsonObject) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _object(value: Json) -> JsonObject:
    return cast("JsonObject", value)


def _text(value: Json) -> str:
    return html.escape(str(value))
