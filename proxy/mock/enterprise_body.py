"""MOCK of Enterprise Sign, what an order is created from."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from proxy.mock.body import ANY_CASE, Body, Url
from proxy.mock.errors import InvalidParam

__all__ = ["NewOrder", "missing_values", "repeated_ids"]

_LEAST_INT32: Final = -(2**31)
_LARGEST_INT32: Final = 2**31 - 1  # what clients read a number of days into

TaskTrigger = Literal["CREATED", "COMPLETED", "REJECTED", "EXPIRED", "FORWARDED", "STARTED"]
MethodType = Literal["AUTHENTICATION_BASED", "SIGNED_STATEMENT", "THIRD_PARTY"]


class Scheduled(Body):
    """When a notification is sent."""

    trigger_status: Annotated[TaskTrigger, ANY_CASE] | None = None
    delay: dict[str, Any] | None = None


class Notification(Body):
    """Who is told, and how."""

    id: str | None = None
    recipient: str | None = None
    sender: str | None = None
    header: str | None = None
    message: str | None = None
    type: Annotated[Literal["SMS", "EMAIL", "URL"], ANY_CASE] | None = None
    schedule: list[Scheduled] | None = None


class ToSign(Body):
    """A document of a task."""

    id: str | None = None
    description: str | None = None
    action: Annotated[Literal["SIGN", "VIEW", "UPLOAD"], ANY_CASE] | None = None
    source: Annotated[Literal["SESSION", "UPLOAD"], ANY_CASE] | None = None
    document_ref: str | None = None
    external_reference: str | None = None
    sign_text_entry: str | None = None
    send_result_to_archive: bool | None = None
    form: dict[str, Any] | None = None


class SignatureMethod(Body):
    """A way to sign."""

    name: str | None = None
    type: Annotated[MethodType, ANY_CASE] | None = None
    handwritten: bool | None = None


class Authentication(Body):
    """How the signer proves who it is."""

    methods: list[str] | None = None
    artifact: bool | None = None


class Attribute(Body):
    """What is known of the signer."""

    name: str | None = None
    value: str | None = None
    methods: list[str | None] | None = None


class Subject(Body):
    """The signer."""

    id: str | None = None
    attributes: list[Attribute] | None = None


class Task(Body):
    """What one person is to do."""

    id: Annotated[str, Field(min_length=1)] | None = None
    profile: str | None = None
    language: str | None = None
    days_to_live: Annotated[int, Field(ge=_LEAST_INT32, le=_LARGEST_INT32)] | None = None
    configuration: Any = None
    documents: list[ToSign] | None = None
    signature_methods: list[SignatureMethod] | None = None
    authentication: Authentication | None = None
    on_task_postpone: Url | None = None
    on_task_complete: Url | None = None
    on_task_reject: Url | None = None
    dialog: dict[str, Any] | None = None
    notifications: list[Notification] | None = None
    sign_text: Any = None
    signing_url: str | None = None
    subject: Subject | None = None
    depends_on_tasks: list[str] | None = None


class Packaged(Body):
    """Documents of one task that go into a package."""

    task_id: str | None = None
    document_ids: list[str] | None = None


class PackagingTask(Body):
    """A package to make once all is signed."""

    id: str | None = None
    send_to_archive: bool | None = None
    method: str | None = None
    notifications: list[Notification] | None = None
    documents: list[Packaged] | None = None


class NewOrder(Body):
    """What an order is created from."""

    client_reference: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    tasks: Annotated[list[Task], Field(min_length=1)]
    notifications: list[Notification] | None = None
    days_until_deletion: Annotated[int, Field(ge=1, le=30)] | None = None
    packaging_tasks: list[PackagingTask] | None = None


def missing_values(order: NewOrder) -> Iterator[InvalidParam]:
    """Yield each attribute of a subject that has no value."""
    for number, task in enumerate(order.tasks):
        attributes = (task.subject and task.subject.attributes) or []
        for index, attribute in enumerate(attributes):
            if not attribute.value:
                place = f"tasks[{number}].subject.attributes[{index}].value"
                yield InvalidParam(place, "Subject attribute value is required")


def repeated_ids(order: NewOrder) -> Iterator[InvalidParam]:
    """Yield each id of a task that an earlier task has: a path would name two of them."""
    seen: set[str] = set()
    for number, task in enumerate(order.tasks):
        if task.id in seen:
            yield InvalidParam(f"tasks[{number}].id", "Another task has this id")
        if task.id is not None:
            seen.add(task.id)
