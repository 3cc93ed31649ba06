"""The unmodified official Python client of OpenAI against a running appliance.

usage: openai_client.py BASE_URL API_KEY MODEL

BASE_URL ends in /v1. The certificate is the appliance's own; trust comes from the evidence, which the caller of this
script has verified, so certificate checks are off here. Prints "N passed, N failed".
"""

import sys

from openai import AuthenticationError, BadRequestError, NotFoundError, OpenAI, DefaultHttpx2Client

base_url, api_key, model = sys.argv[1:]
http = DefaultHttpx2Client(verify=False)
client = OpenAI(base_url=base_url, api_key=api_key, http_client=http, max_retries=0)
passed = failed = 0


def check(name, body):
    global passed, failed
    try:
        body()
        passed += 1
        print(f"ok - {name}")
    except Exception as error:  # every failure is printed and counted
        failed += 1
        print(f"not ok - {name}: {type(error).__name__}: {error}")


def models():
    assert model in [m.id for m in client.models.list().data]


def whole():
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": QUESTION}])
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def streamed():
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    )
    text, reasons, usage = "", [], None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    assert text and reasons and usage is not None, (text, reasons, usage)


def embeddings():
    """The client asks for base64 by itself and decodes it; an explicit float request must agree."""
    name = next(m.id for m in client.models.list().data if "minilm" in m.id.lower())
    encoded = client.embeddings.create(model=name, input=["a cat", "a dog"]).data
    plain = client.embeddings.create(model=name, input=["a cat", "a dog"], encoding_format="float").data
    assert len(encoded) == 2 and len(encoded[0].embedding) == 384
    assert max(abs(a - b) for a, b in zip(encoded[1].embedding, plain[1].embedding)) < 1e-6
    assert abs(sum(x * x for x in encoded[0].embedding) - 1) < 1e-3


def refused(kind, call):
    def body():
        try:
            call()
        except kind:
            return
        raise AssertionError(f"no {kind.__name__}")

    return body


QUESTION = "How many days of paid leave does an employee have?"
stranger = OpenAI(base_url=base_url, api_key="clk_wrong", http_client=http, max_retries=0)
check("models are listed", models)
check("a whole answer", whole)
check("a streamed answer", streamed)
check("embeddings, base64 and float", embeddings)
check("a wrong key is refused", refused(AuthenticationError, stranger.models.list))
check(
    "an unknown model is not found",
    refused(
        NotFoundError,
        lambda: client.chat.completions.create(model="no-such", messages=[{"role": "user", "content": "x"}]),
    ),
)
check(
    "an empty conversation is a bad request",
    refused(BadRequestError, lambda: client.chat.completions.create(model=model, messages=[])),
)
print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
