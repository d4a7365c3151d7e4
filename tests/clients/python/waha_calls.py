"""Plays a program that was written for WAHA: it uses the package waha-py as it is, and nothing else of the service.

Usage: waha_calls.py SERVICE SANDBOX HOOK SESSION TO TEXT

Prints one JSON object for each call, with its answer, or with the status and the code that it was refused with. It scans the code
with the sandbox's phone. WAHA's requests and answers are checked by the models of the package, where these fit what WAHA itself sends.
"""

import json
import sys
import time

import httpx
from waha import WahaClient
from waha.generated.models import (
    Base64File,
    MessageLocationRequest,
    MessageTextRequest,
    PingResponse,
    QRCodeValue,
    SessionDTO,
    WANumberExistResult,
)

SERVICE, SANDBOX, HOOK, SESSION, TO, TEXT = sys.argv[1:]
CHAT = f"{TO}@c.us"
# A session is linked within seconds; a crowded machine takes longer.
DEADLINE_SECONDS = 60


def call(name, function, model=None):
    """Makes one call of the client, and prints what came of it."""
    try:
        answer = function()
    except httpx.HTTPStatusError as refused:
        answer = {"refused": refused.response.status_code, "code": refused.response.json()["code"]}
    else:
        if model is not None:
            model.model_validate(answer)
    print(json.dumps({"call": name, "answer": answer}), flush=True)
    return answer


def until(what, function, is_so):
    """Asks until the answer is as wanted."""
    ends = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < ends:
        answer = function()
        if is_so(answer):
            return answer
        time.sleep(0.1)
    raise SystemExit(f"{what} did not come about: {answer}")


client = WahaClient(SERVICE, api_key="any, since the service of this test has none")
call("ping.ping", client.ping.ping, PingResponse)
call("server.get", client.server.get)
call("sessions.get unknown", lambda: client.sessions.get(SESSION))
config = {"webhooks": [{"url": HOOK, "events": ["message.any", "session.status"], "hmac": {"key": "any text"}}]}
# The package has objects for the names of events in its model of a webhook, where WAHA has texts.
call("sessions.create", lambda: client.sessions.create({"name": SESSION, "config": config}))
call("sessions.create with a proxy", lambda: client.sessions.create({"name": SESSION, "config": {"proxy": {"server": "x:1"}}}))
until(
    "a code to scan",
    lambda: client.sessions.get(SESSION),
    lambda session: session["status"] == "SCAN_QR_CODE",
)
picture = call("auth.get_qr", lambda: client.auth.get_qr(SESSION), Base64File)
code = call("auth.get_qr raw", lambda: client.auth.get_qr(SESSION, params={"format": "raw"}), QRCodeValue)
httpx.post(f"{SANDBOX}/phone/scan", json={"code": code["value"]}).raise_for_status()
until("the session works", lambda: client.sessions.get(SESSION), lambda session: session["status"] == "WORKING")
call("sessions.get", lambda: client.sessions.get(SESSION))
call("sessions.list", client.sessions.list)
call("sessions.get_me", lambda: client.sessions.get_me(SESSION))
call("auth.get_qr linked", lambda: client.auth.get_qr(SESSION))
call("auth.request_code linked", lambda: client.auth.request_code(SESSION, {"phoneNumber": TO}))

exists = {"session": SESSION, "phone": TO}
call("contacts.check_exists", lambda: client.contacts.check_exists(exists), WANumberExistResult)
absent = {"session": SESSION, "phone": "5491158250000"}
call("contacts.check_exists absent", lambda: client.contacts.check_exists(absent), WANumberExistResult)

text = MessageTextRequest(session=SESSION, chatId=CHAT, text=TEXT)
sent = call("chatting.send_text", lambda: client.chatting.send_text(text))
reply = MessageTextRequest(session=SESSION, chatId=CHAT, text=f"{TEXT} again", reply_to=sent["id"])
call("chatting.send_text reply_to", lambda: client.chatting.send_text(reply))
place = MessageLocationRequest(session=SESSION, chatId=CHAT, latitude=-34.6037, longitude=-58.3816, title="Obelisco")
call("chatting.send_location", lambda: client.chatting.send_location(place))
poll = {"name": f"{TEXT}?", "options": ["lunes", "martes"], "multipleAnswers": False}
call("chatting.send_poll", lambda: client.chatting.send_poll({"session": SESSION, "chatId": CHAT, "poll": poll}))
card = {"fullName": "Ana", "phoneNumber": "+54 9 11 5825-4202", "whatsappId": "5491158254202", "vcard": None}
cards = {"session": SESSION, "chatId": CHAT, "contacts": [card]}
call("chatting.send_contact_vcard", lambda: client.chatting.send_contact_vcard(cards))
call(
    "chatting.send_text no session",
    lambda: client.chatting.send_text({"chatId": CHAT, "text": TEXT}),
)
call(
    "chatting.send_text wrong chat",
    lambda: client.chatting.send_text({"session": SESSION, "chatId": "status@broadcast", "text": TEXT}),
)

call("sessions.update", lambda: client.sessions.update(SESSION, {"config": {"webhooks": []}}), SessionDTO)
call("sessions.restart", lambda: client.sessions.restart(SESSION), SessionDTO)
until("the session works again", lambda: client.sessions.get(SESSION), lambda session: session["status"] == "WORKING")
call("sessions.stop", lambda: client.sessions.stop(SESSION), SessionDTO)
call("sessions.list stopped", client.sessions.list)
call("sessions.list all", lambda: client.sessions.list({"all": True}))
call("sessions.start", lambda: client.sessions.start(SESSION), SessionDTO)
until("the session works again", lambda: client.sessions.get(SESSION), lambda session: session["status"] == "WORKING")
call("sessions.logout", lambda: client.sessions.logout(SESSION), SessionDTO)
call("sessions.delete", lambda: client.sessions.delete(SESSION))
call("sessions.get deleted", lambda: client.sessions.get(SESSION))
client.close()
