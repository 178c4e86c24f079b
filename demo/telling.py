"""How the demo speaks: plain lines, flushed, so that a pipe shows them at once too."""


def step(number: int, title: str) -> None:
    print(f"\n{number}. {title}", flush=True)


def say(text: str) -> None:
    print(f"   {text}", flush=True)
