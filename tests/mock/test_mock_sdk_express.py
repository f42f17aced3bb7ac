"""The official SDK's calls to Express Sign, byte for byte, and what its classes read (K)."""

import json

from tests.mock.bench import Api
from tests.mock.sdk_express_shapes import (
    ATTACHMENT_READ,
    DOCUMENT,
    MERCHANT_READ,
    METHODS,
    NOTIFICATIONS,
    PAGE,
    REMINDER,
    SIGNER_READ,
    SPINNERS_READ,
    STATUS,
    SUMMARY,
    THEMES_READ,
    VALIDATED,
)
from tests.mock.sdk_reading import ERROR, each, misread
from tests.mock.sdk_wire import sdk_asks, sdk_reads

ROOT = "/express/sign"
DOCUMENTS = f"{ROOT}/documents"
NEW = (
    '{"signers":[{"externalSignerId":"Signer1","redirectSettings":'
    '{"redirectMode":"donot_redirect","domain":null,"error":null,"cancel":null,"success":null},'
    '"signatureType":{"signatureMethods":null,"mechanism":"handwritten"},"signerInfo":null,'
    '"authentication":null,"extraInfo":null,"addons":null,"ui":null,"notifications":null,'
    '"tags":null,"order":null,"required":null,"signUrlExpires":null,'
    '"getSocialSecurityNumber":null,"verifySocialSecurityNumber":null}],'
    '"title":"SDK Unit test","description":null,"externalId":"iuasdfn","dataToSign":null,'
    '"contactDetails":{"name":null,"phone":null,"email":"support@signicat.com","url":null},'
    '"notification":null,"advanced":{"tags":null,"attachments":1,"requiredSignatures":null,'
    '"createdByApplication":null,"getSocialSecurityNumber":null,"security":null,'
    '"timeToLive":null,"departmentId":null}}'
)
CHANGE = (
    '{"title":"SDK Unit Test - Updated Doc","description":null,"notification":null,'
    '"contactDetails":null,"advanced":null}'
)
ATTACHMENT = (
    '{"fileName":"a.txt","title":"Attahment 1",'
    '"data":"VGhpcyB0ZXh0IGNhbiBzYWZlbHkgYmUgc2lnbmVk","convertToPdf":true,"signers":null,'
    '"description":null,"type":null}'
)
MERCHANT = (
    '{"dataToSign":"SGVsbG8sIFRoaXMgdGV4dCBpcyBuaWNlIHRvIHNpZ24Kw6bDuMOl","xslt":null,'
    '"dataFormat":"txt","dataEncodingFormat":"UTF8","externalReference":"1234567890",'
    '"signingFormat":"no_bankid_seid_sdo","departmentId":"oansdf"}'
)
# Written by hand: every enumeration as the SDK writes it, which none of its tests does.
SIGNER = (
    '{"externalSignerId":"Signer2","redirectSettings":{"redirectMode":"iframe_with_redirect",'
    '"domain":"shop.test","error":"https://shop.test/e","cancel":"https://shop.test/c",'
    '"success":"https://shop.test/s"},"signatureType":{"signatureMethods":["no_bankid_oidc",'
    '"se_bankid"],"mechanism":"handwritten_with_identification"},"signerInfo":{"firstName":"Kari",'
    '"lastName":"\\u00D8deg\\u00E5rd","email":"kari@shop.test","socialSecurityNumber":null,'
    '"mobile":{"countryCode":"\\u002B47","number":"99716935"},"organizationInfo":{"orgNo":"1",'
    '"companyName":"A","countryCode":"NO"},"title":null},"authentication":{"mechanism":'
    '"EIDANDSMSOTP","socialSecurityNumber":null,"signatureMethodUniqueId":null},'
    '"extraInfo":{"types":["PERSONLOOKUP"]},"addons":{"types":["secureShare"]},'
    '"ui":{"language":"NO","dialogs":{"before":{"useCheckBox":true,"title":"T","message":"M",'
    '"formFields":[{"description":"D","key":"k","type":"CHECKBOX","regex":null,"required":false}]},'
    '"after":{"title":"T","message":"M"}},"styling":{"colorTheme":"OCEANGREEN",'
    '"themeMode":"DARK","spinner":"CUBES","hideTopBar":false,"backgroundColor":null}},'
    '"notifications":{"setup":{"request":"SENDSMS","reminder":"SENDBOTH","signatureReceipt":"OFF",'
    '"finalReceipt":null,"canceled":null,"expired":"SENDEMAIL"},"mergeFields":{"name":"Kari"}},'
    '"tags":["a"],"order":2,"required":true,"signUrlExpires":"2027-01-16T10:00:00.1234567+00:00",'
    '"getSocialSecurityNumber":false,"verifySocialSecurityNumber":null}'
)


async def test_documents_of_the_sdk(api: Api) -> None:
    """Its tests, in their order: create, read, change, signer, attachment, status, list."""
    created = await sdk_reads(api, DOCUMENT, "POST", DOCUMENTS, NEW)
    assert created["externalId"] == "iuasdfn"
    path = f"{DOCUMENTS}/{created['documentId']}"
    (signer,) = created["signers"]
    assert (await sdk_reads(api, DOCUMENT, "GET", path))["externalId"] == "iuasdfn"
    changed = await sdk_reads(api, DOCUMENT, "PATCH", path, CHANGE)
    assert (changed["externalId"], changed["title"]) == ("iuasdfn", "SDK Unit Test - Updated Doc")
    shown = await sdk_reads(api, SIGNER_READ, "GET", f"{path}/signers/{signer['id']}")
    assert (shown["id"], shown["externalSignerId"]) == (signer["id"], "Signer1")
    attachment = await sdk_reads(api, ATTACHMENT_READ, "POST", f"{path}/attachments", ATTACHMENT)
    assert attachment["title"] == "Attahment 1"
    assert (await sdk_reads(api, STATUS, "GET", f"{path}/status"))["documentStatus"] == "unsigned"
    listed = await sdk_reads(api, PAGE, "GET", f"{DOCUMENTS}/summary")
    assert created["documentId"] in {one["documentId"] for one in listed["data"]}
    response = await sdk_asks(api, "POST", f"{path}/cancel?reason=Tesing", body=b"null")
    assert response.status == 204
    assert (await sdk_reads(api, STATUS, "GET", f"{path}/status"))["documentStatus"] == "canceled"


async def test_a_document_without_a_title(api: Api) -> None:
    """400, with the field and the sentence that its test expects."""
    untitled = NEW.replace('"SDK Unit test"', "null")
    response = await sdk_asks(api, "POST", DOCUMENTS, body=untitled.encode())
    assert response.status == 400
    error = json.loads(response.body)
    assert not misread(error, ERROR)
    first = {"field": "Title", "message": "The Title field is required."}
    assert error["errors"][0] == first
    assert "invalidParams" not in error


async def test_every_enumeration_can_be_read_again(api: Api) -> None:
    """However it was written: in capitals by its name in the code, or as it is documented."""
    created = await sdk_reads(api, DOCUMENT, "POST", DOCUMENTS, NEW)
    path = f"{DOCUMENTS}/{created['documentId']}"
    signer = await sdk_reads(api, SIGNER_READ, "POST", f"{path}/signers", SIGNER)
    assert signer["authentication"]["mechanism"] == "eidAndSmsOtp"
    assert signer["ui"]["dialogs"]["before"]["formFields"][0]["type"] == "checkbox"
    assert signer["notifications"]["setup"]["request"] == "sendSms"
    assert signer["signerInfo"]["lastName"] == "Ødegård"
    await sdk_reads(api, SIGNER_READ, "PATCH", f"{path}/signers/{signer['id']}", SIGNER)
    await sdk_reads(api, each(SIGNER_READ), "GET", f"{path}/signers")
    await sdk_reads(api, DOCUMENT, "GET", path)


async def test_a_signed_document_can_be_read(api: Api) -> None:
    """With its signatures, packages, files, and in every list."""
    body = NEW.replace('"attachments":1', '"attachments":0').replace("iuasdfn", "mock-success")
    created = await sdk_reads(api, DOCUMENT, "POST", DOCUMENTS, body)
    path = f"{DOCUMENTS}/{created['documentId']}"
    (signer,) = created["signers"]
    added = await sdk_reads(
        api, ATTACHMENT_READ, "POST", f"{path}/attachments", ATTACHMENT.replace("null}", '"sign"}')
    )
    await sdk_reads(api, STATUS, "GET", f"{path}/status")
    assert (await sdk_reads(api, STATUS, "GET", f"{path}/status"))["documentStatus"] == "signed"
    done = await sdk_reads(api, DOCUMENT, "GET", path)
    assert done["signers"][0]["documentSignature"]["mechanism"] == "handwritten"
    await sdk_reads(api, SUMMARY, "GET", f"{path}/summary")
    query = "status=signed&fromDate=2027-01-15T08%3a00%3a00Z&&limit=10"
    assert len((await sdk_reads(api, PAGE, "GET", f"{DOCUMENTS}/summary?{query}"))["data"]) == 1
    for part in (
        "",
        f"/signers/{signer['id']}",
        f"/attachments/{added['id']}",
        f"/attachments/{added['id']}/signers/{signer['id']}",
    ):
        file = await sdk_asks(api, "GET", f"{path}/files{part}?fileFormat=standard_packaging")
        assert (file.status, file.body[:5]) == (200, b"%PDF-")


async def test_the_rest_of_express_sign(api: Api) -> None:
    """Merchant signature, reminders, notifications, themes, methods, tokens of redirects."""
    signed = await sdk_reads(api, MERCHANT_READ, "POST", f"{ROOT}/merchant/signature", MERCHANT)
    assert signed["signedData"]
    assert signed["signCertificateBase64String"]
    created = await sdk_reads(api, DOCUMENT, "POST", DOCUMENTS, NEW)
    path = f"{DOCUMENTS}/{created['documentId']}/notifications"
    name = created["signers"][0]["id"]
    body = f'{{"notificationSetting":"SENDSMS","signers":{{"{name}":{{"emailOverride":null}}}}}}'
    await sdk_reads(api, REMINDER, "POST", f"{path}/reminder", body)
    assert len(await sdk_reads(api, NOTIFICATIONS, "GET", path)) == 1
    await sdk_reads(api, THEMES_READ, "GET", f"{ROOT}/themes/list/themes")
    await sdk_reads(api, SPINNERS_READ, "GET", f"{ROOT}/themes/list/spinners")
    query = "mechanism=identification&fileType=pdf&language=EN&"
    await sdk_reads(api, METHODS, "GET", f"{ROOT}/signature-methods?{query}")
    await sdk_reads(api, METHODS, "GET", f"{ROOT}/signature-methods/account?{query}")
    await sdk_reads(api, VALIDATED, "POST", f"{ROOT}/jwt/validate", '{"jwt":"a.b.c"}')
