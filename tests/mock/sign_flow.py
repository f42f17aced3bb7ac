"""What the tests of Sign v2 begin with: documents, collections of them, signing sessions."""

from typing import Any, Final

from tests.mock.bench import Api

__all__ = ["PDF", "REDIRECTS", "SESSIONS", "SETUP", "SHOP", "Contract", "new_contract"]

PDF: Final = b"%PDF-1.7\n%%EOF\n"
SESSIONS: Final = "/sign/signing-sessions"
SHOP: Final = "https://shop.test"
REDIRECTS: Final = {
    "success": f"{SHOP}/ok",
    "cancel": f"{SHOP}/no?a=b#c",
    "error": f"{SHOP}/err",
}
SETUP: Final = [{"identityProviders": [{"idpName": "nbid"}], "signingFlow": "AUTHENTICATION_BASED"}]


class Contract:
    """One document in a collection of its own."""

    def __init__(self, api: Api, document_id: str, collection_id: str) -> None:
        self.api = api
        self.document_id = document_id
        self.collection_id = collection_id

    def wanted(self, **members: Any) -> dict[str, Any]:
        """Return a body for a signing session of it."""
        document = {
            "action": "SIGN",
            "documentId": self.document_id,
            "documentCollectionId": self.collection_id,
        }
        return {"title": "Contract", "documents": [document], "signingSetup": SETUP} | members

    async def session(self, **members: Any) -> dict[str, Any]:
        """Create a signing session of it."""
        status, sessions = await self.api.call("POST", SESSIONS, json=[self.wanted(**members)])
        assert (status, len(sessions)) == (201, 1), sessions
        session: dict[str, Any] = sessions[0]
        return session

    async def look(self, session: dict[str, Any]) -> dict[str, Any]:
        """Return the session as it is now."""
        status, body = await self.api.call("GET", f"{SESSIONS}/{session['id']}")
        assert status == 200, body
        seen: dict[str, Any] = body
        return seen

    async def state(self, session: dict[str, Any]) -> str:
        """Return the state of the session as it is now."""
        return str((await self.look(session))["lifecycle"]["state"])

    async def press(self, session: dict[str, Any], word: str) -> tuple[int, Any, Any]:
        """Press a button of the session's page."""
        return await self.api.ask("POST", f"/mock-sign/{session['id']}/{word}")


async def new_contract(
    api: Api, data: bytes = PDF, media_type: str = "application/pdf", **collection: Any
) -> Contract:
    """Upload a document and put it into a collection."""
    headers = {"Content-Type": media_type}
    _, document = await api.call("POST", "/sign/documents", data=data, headers=headers)
    wanted = {"documents": [{"documentId": document["documentId"]}]} | collection
    status, body = await api.call("POST", "/sign/document-collections", json=wanted)
    assert status == 201, body
    return Contract(api, document["documentId"], body["id"])
