"""What a person sees of it."""

EVERY = 10                      # seconds


def say(text):
    print(text, flush=True)


def shown(name):
    """A name as a terminal may have it."""
    return "".join(c if c.isprintable() else "\ufffd" for c in name)[:60]


def to_go(done, number, seconds):
    if done == 0 or done == number:
        return ""
    left = (number - done) * seconds / done
    return f"; {number - done} to go, about " + (f"{left:.0f} s" if left < 90 else f"{left / 60:.0f} min")
