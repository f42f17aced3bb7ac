"""What the official .NET SDK deserializes of Enterprise Sign (signicat-net 1.15.0).

Signicat leaves out what it does not have, so most may lack; what is there must
be no null where .NET has none.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from tests.mock.sdk_reading import (
    Check,
    each,
    flag,
    guid,
    may_lack,
    members,
    one_of,
    text,
    whole,
)

__all__ = ["EVENT", "ORDER", "PACKAGING_STATUS", "TASK_STATUS"]

# The one converter of the SDK's own: an offset with a colon or without.
_EVENT_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:?\d\d")


def _event_time(value: Any, place: str) -> Iterator[str]:
    if not isinstance(value, str) or not _EVENT_TIME.fullmatch(value):
        yield f"{place}: {value!r} is no time"


def _lacking(checks: dict[str, Check]) -> dict[str, Check]:
    return {name: may_lack(check) for name, check in checks.items()}


def _texts(*names: str) -> dict[str, Check]:
    return _lacking(dict.fromkeys(names, text))


_NOTIFICATION: Final = members(
    {
        **_texts("recipient", "sender", "header", "message"),
        **_lacking(
            {
                "id": guid,
                "type": one_of("SMS", "EMAIL", "URL"),
                "schedule": each(
                    members(
                        {
                            "triggerStatus": one_of(
                                *("CREATED", "COMPLETED", "REJECTED", "EXPIRED"),
                                *("FORWARDED", "STARTED"),
                            )
                        }
                    )
                ),
            }
        ),
    }
)
_DOCUMENT: Final = members(
    {
        **_texts("description", "documentRef", "signTextEntry"),
        "id": guid,
        **_lacking(
            {
                "action": one_of("SIGN", "VIEW", "UPLOAD"),
                "source": one_of("SESSION", "UPLOAD"),
                "externalReference": guid,
                "sendResultToArchive": flag,
            }
        ),
    }
)
_TASK: Final = members(
    {
        **_texts("profile", "language", "onTaskPostpone", "onTaskComplete", "onTaskReject"),
        "id": guid,
        "daysToLive": whole,
        "signingUrl": text,
        **_lacking(
            {
                "documents": each(_DOCUMENT),
                "signatureMethods": each(members(_lacking({"name": text, "handwritten": flag}))),
                "authentication": members(_lacking({"methods": each(text), "artifact": flag})),
                "notifications": each(_NOTIFICATION),
            }
        ),
    }
)
ORDER: Final = members(
    {
        "id": text,
        "clientReference": may_lack(guid),
        "tasks": each(_TASK),
        "daysUntilDeletion": whole,
        "packagingTasks": may_lack(
            each(
                members(
                    {
                        "id": guid,
                        **_lacking(
                            {
                                "sendToArchive": flag,
                                "method": text,
                                "notifications": each(_NOTIFICATION),
                                "documents": each(
                                    members({"taskId": guid, "documentIds": each(guid)})
                                ),
                            }
                        ),
                    }
                )
            )
        ),
    }
)
TASK_STATUS: Final = members(
    {
        "orderId": text,
        "taskId": guid,
        "taskStatus": one_of("CREATED", "COMPLETED", "REJECTED", "EXPIRED", "DELETED"),
        "clientReference": may_lack(guid),
        "documents": each(
            members(
                {
                    "id": guid,
                    "originalUri": text,
                    "generatedUri": text,
                    "resultUri": may_lack(text),
                    "formOutputParam": each(text),
                }
            )
        ),
    }
)
EVENT: Final = members(
    {
        "eventType": one_of(
            *("TASK_CREATED", "NOTIFICATION_SENT", "TASK_STARTED", "TASK_REJECTED"),
            *("TASK_COMPLETED", "ERROR", "DOCUMENT_UPLOADED", "DOCUMENT_SIGNED"),
            *("DOCUMENT_VIEWED", "DOCUMENT_SIGN_CANCELLED", "DOCUMENT_DELETED"),
            *("USER_AUTHENTICATED", "USER_AUTHENTICATION_CANCELLED", "PACKAGING_TASK_CREATED"),
            *("PACKAGING_TASK_COMPLETED", "PACKAGING_TASK_FAILED", "INTERNAL"),
        ),
        "eventTime": _event_time,
        "data": text,
    }
)
PACKAGING_STATUS: Final = members(
    {
        "orderId": text,
        "packagingTaskId": guid,
        "packagingTaskStatus": one_of("CREATED", "COMPLETED", "FAILED"),
        "packagingTaskResultUri": may_lack(text),
    }
)
