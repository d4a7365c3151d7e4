"""Plays a program that was written for WAHA: it uses the package waha-py as it is, and nothing else of the service.

Usage: waha_calls.py SERVICE SANDBOX HOOK SESSION TO TEXT FILES URL

FILES is a folder with the files image, voice, video and audio; URL is where a document is.

Prints one JSON object for each call, with its answer, or with the status and the code that it was refused with. It scans the code
with the sandbox's phone, where a person also writes and makes a group. WAHA's requests and answers are checked by the models of the package, where these fit what WAHA itself sends.
"""

import base64
import json
import pathlib
import sys
import time

import httpx
from waha import WahaClient
from waha.generated.models import (
    Base64File,
    BinaryFile,
    ChatRequest,
    MessageFileRequest,
    MessageImageRequest,
    MessageLocationRequest,
    MessageReactionRequest,
    MessageTextRequest,
    PingResponse,
    QRCodeValue,
    RemoteFile,
    SendSeenRequest,
    SessionDTO,
    WANumberExistResult,
)

SERVICE, SANDBOX, HOOK, SESSION, TO, TEXT, FILES, URL = sys.argv[1:]
GROUP_EVENTS = ["group.v2.join", "group.v2.leave", "group.v2.participants", "group.v2.update"]
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


def base64_of(name):
    """A file, as a request carries it."""
    return base64.b64encode(pathlib.Path(FILES, name).read_bytes()).decode()


def phone(path, /, **what):
    """Does something on the phone; gives the id of what came of it."""
    done = httpx.post(f"{SANDBOX}/phone/{path}", json={"account": ACCOUNT, **what})
    done.raise_for_status()
    return done.json().get("id")


def on_phone():
    """What the phone shows."""
    return httpx.get(f"{SANDBOX}/phone/state").json()


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
config = {"webhooks": [{"url": HOOK, "events": ["message.any", "session.status", *GROUP_EVENTS], "hmac": {"key": "any text"}}]}
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
me = call("sessions.get_me", lambda: client.sessions.get_me(SESSION))
ACCOUNT = me["id"].removesuffix("@c.us")
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

picture = BinaryFile(mimetype="image/png", data=base64_of("image"))
picture = MessageImageRequest(session=SESSION, chatId=CHAT, file=picture, caption=f"{TEXT} below", reply_to=sent["id"])
call("chatting.send_image", lambda: client.chatting.send_image(picture))
document = RemoteFile(mimetype="application/pdf", filename="precios.pdf", url=URL)
document = MessageFileRequest(session=SESSION, chatId=CHAT, file=document)
call("chatting.send_file", lambda: client.chatting.send_file(document))
# The package has objects for the types and names of these files in its models, where WAHA has texts.
voice = {"mimetype": "audio/ogg; codecs=opus", "filename": "voz.oga", "data": base64_of("voice")}
voice = {"session": SESSION, "chatId": CHAT, "file": voice, "convert": True}
call("chatting.send_voice", lambda: client.chatting.send_voice(voice))
video = {"mimetype": "video/mp4", "filename": "video.mp4", "data": base64_of("video")}
video = {"session": SESSION, "chatId": CHAT, "file": video, "convert": False, "asNote": False, "caption": f"{TEXT} below it"}
call("chatting.send_video", lambda: client.chatting.send_video(video))
song = {**voice, "file": {"mimetype": "audio/mpeg", "filename": "song.mp3", "data": base64_of("audio")}}
call("chatting.send_voice to be converted", lambda: client.chatting.send_voice(song))
call("chatting.send_video round", lambda: client.chatting.send_video({**video, "asNote": True}))
call(
    "chatting.send_text no session",
    lambda: client.chatting.send_text({"chatId": CHAT, "text": TEXT}),
)
call(
    "chatting.send_text wrong chat",
    lambda: client.chatting.send_text({"session": SESSION, "chatId": "status@broadcast", "text": TEXT}),
)

# A person writes; the chat is read, is written in, and its message gets a reaction.
key = phone("receive", **{"from": TO, "body": f"{TEXT}, asked"})
newest = {"limit": 1, "downloadMedia": False}


def is_there(messages):
    return messages and messages[0]["id"].endswith(key)


asked = until("the question", lambda: client.chats.get_chat_messages(SESSION, CHAT, newest), is_there)[0]["id"]
seen = SendSeenRequest(session=SESSION, chatId=CHAT, messageIds=[asked])
call("chatting.send_seen", lambda: client.chatting.send_seen(seen))
until("the phone shows that it was read", on_phone, lambda state: state["received"][0].get("seen") is True)
chat = ChatRequest(session=SESSION, chatId=CHAT)
call("chatting.start_typing", lambda: client.chatting.start_typing(chat))
until("the phone shows typing", on_phone, lambda state: state["chat_states"][0]["state"] == "composing")
call("chatting.stop_typing", lambda: client.chatting.stop_typing(chat))
until("the phone shows no typing", on_phone, lambda state: state["chat_states"][0]["state"] == "paused")
reaction = MessageReactionRequest(session=SESSION, messageId=asked, reaction="👍")
call("chatting.set_reaction", lambda: client.chatting.set_reaction(reaction))
until("the phone shows the reaction", on_phone, lambda state: state["received"][0].get("reaction") == "👍")
unknown = MessageReactionRequest(session=SESSION, messageId="3EB0000000000000000000", reaction="👍")
call("chatting.set_reaction unknown", lambda: client.chatting.set_reaction(unknown))

group = phone("group", name="Equipo", participants=[TO])
phone("group/members", group=group, act="promote", people=[TO])
phone("group/change", group=group, name="Familia")
phone("group/members", group=group, act="remove", people=[ACCOUNT])
until(
    "all is heard of the group",
    lambda: httpx.get(f"{SERVICE}/events", params={"limit": 500, "types": "group.left"}).json()["events"],
    lambda heard: len(heard) == 1,
)
# What nothing waits for may still be ahead in the log, so what was delivered is counted.
wanted = {"limit": 500, "types": "message.any,session.status,group.joined,group.left,group.participants,group.updated"}
until(
    "the receiver has all of it",
    lambda: (
        httpx.get(f"{SERVICE}/webhooks").json()["webhooks"][0]["deliveries"]["delivered"],
        len(httpx.get(f"{SERVICE}/events", params=wanted).json()["events"]),
    ),
    lambda counts: counts[0] == counts[1],
)
call("chats.get_chats", lambda: client.chats.get_chats(SESSION))
call("chats.get_chats second", lambda: client.chats.get_chats(SESSION, {"limit": 1, "offset": 1, "sortBy": "conversationTimestamp"}))
call("chats.get_chats_overview", lambda: client.chats.get_chats_overview(SESSION))
call("chats.get_chat_messages", lambda: client.chats.get_chat_messages(SESSION, CHAT, {"limit": 100, "downloadMedia": False}))
call("chats.get_chat_messages second", lambda: client.chats.get_chat_messages(SESSION, CHAT, {**newest, "offset": 1}))
call("chats.get_chats by name", lambda: client.chats.get_chats(SESSION, {"sortBy": "name"}))

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
