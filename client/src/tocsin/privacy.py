"""Privacy: which labels may leave the host, and in which form.

What: a rule made of lists: labels allowed, labels denied, labels that leave as a keyed hash. Why: what identifies a
person must be dropped or blinded before it leaves, not searched for in the stores behind; keys that name secrets are
denied whatever the host says. It refuses to look into values: a rule that guesses is wrong twice.

A keyed hash stays personal data for whoever holds the key; it keeps people apart without naming them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tocsin.errors import InvalidOption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Never sent: keys that name a secret, whoever set them; by their letters and digits, see `plain`.
SECRET_WITHIN = ("password", "passwd", "apikey", "privatekey")
SECRET_ENDS = ("authorization", "cookie", "credential", "credentials", "secret", "sessionid", "token")
HASH_BYTES = 8
KEY_BYTES_MIN = 16


def plain(name: str) -> str:
    """Letters and digits of a name, in small letters: UserId, user-id and user_id are one name to whoever forbids it."""
    return "".join(filter(str.isalnum, name.casefold()))


class Privacy:
    """`allow`: only these labels leave, when given. `deny`: these never. `hashed`: these as HMAC-SHA-256, 16 hex digits.

    `allow` is meant to the letter; the other two know a name however it is written, see `plain`.
    Raises InvalidOption: labels to be hashed without a key of at least 16 bytes.
    """

    __slots__ = ("allow", "deny", "hashed", "key")

    def __init__(
        self, allow: Collection[str] | None, deny: Collection[str], hashed: Collection[str], key: bytes
    ) -> None:
        for option, given in (("labels_allow", allow), ("labels_deny", deny), ("labels_hash", hashed)):
            if isinstance(given, (str, bytes)) or not all(isinstance(name, str) for name in given or ()):
                raise InvalidOption(f"{option}={given!r}; a list of names is expected")
        if hashed and len(key) < KEY_BYTES_MIN:
            raise InvalidOption(f"labels_hash needs hash_key, at least {KEY_BYTES_MIN} bytes that stay on your side")
        self.allow = None if allow is None else frozenset(allow)
        self.deny = frozenset(map(plain, deny))
        self.hashed = frozenset(map(plain, hashed))
        self.key = key

    def apply(self, labels: Mapping[Any, object]) -> dict[Any, object]:
        """The labels that may leave, in the form in which they may."""
        kept: dict[Any, object] = {}
        for name, value in labels.items():
            if not isinstance(name, str):
                kept[name] = value  # not a label at all: the check of names says so
            elif self.denied(plain(name)) or (self.allow is not None and name not in self.allow):
                continue
            else:
                kept[name] = self.blind(value) if plain(name) in self.hashed else value
        return kept

    def denied(self, name: str) -> bool:
        """Whether a name, as `plain` has it, never leaves."""
        return name in self.deny or name.endswith(SECRET_ENDS) or any(word in name for word in SECRET_WITHIN)

    def blind(self, value: object) -> str:
        """The keyed hash of the value's text."""
        import hashlib
        import hmac

        text = str(value).encode("utf-8", "surrogatepass")
        return hmac.new(self.key, text, hashlib.sha256).digest()[:HASH_BYTES].hex()
