"""`tocsin acls`: what each role needs on a broker that denies by default.

What: the lines for `kafka-acls`, or JSON, out of the table that workers check themselves against; with `--check`, what the
broker allows the caller. It refuses to grant anything.
"""

from __future__ import annotations

from cli import output, where
from cli.output import OK, PROBLEM, UNREACHABLE, USAGE, Stop
from streams import acls
from streams.acls import Role

ANSWER_S = 10.0


def run(names: list[str], principal: str, application: str, *, json: bool) -> int:
    """Print the grants of the roles that are named, or of all."""
    chosen = _chosen(names, application)
    if json:
        output.as_json([_plain(role, principal or f"User:{role.name}") for role in chosen], indent=2)
        return OK
    for role in chosen:
        output.say(f"# {role.name}: {role.what}")
        for line in acls.commands(role, principal or f"User:{role.name}"):
            output.say(line)
    return OK


def check(names: list[str], bootstrap: str, application: str, *, json: bool) -> int:
    """Whether the broker allows the caller all that the roles need. Exit code 1 when something is lacking."""
    from confluent_kafka import KafkaException

    from access.refusals import Ear
    from streams.topics import admin, unavailable

    chosen = _chosen(names, application)
    security = where.security()
    ear = Ear(security.principal)
    client = admin(bootstrap, security, ear)
    try:
        lacks = [str(lack) for role in chosen for lack in acls.lacking(client, role, ANSWER_S)]
    except KafkaException as error:
        why = unavailable(client, error.args[0], ear, bootstrap)
        raise Stop(UNREACHABLE, str(why), bootstrap, "`tocsin doctor` looks closer") from error
    except TimeoutError as error:
        raise Stop(UNREACHABLE, f"no answer within {ANSWER_S:.0f} s", bootstrap, "`tocsin doctor`") from error
    if json:
        output.as_json({"principal": security.principal, "roles": names, "lacks": lacks}, indent=2)
    else:
        for lack in lacks:
            output.say(f"{security.principal} lacks {lack}")
        output.note(f"{len(lacks)} grants are lacking" if lacks else f"{security.principal} may be {', '.join(names)}")
    return PROBLEM if lacks else OK


def _chosen(names: list[str], application: str) -> list[Role]:
    known = acls.roles(application)
    for name in names:
        if name not in known:
            raise Stop(USAGE, f"there is no role {name!r}", "", f"roles are {', '.join(known)}")
    return [role for role in known.values() if not names or role.name in names]


def _plain(role: Role, principal: str) -> dict[str, object]:
    grants = [
        {
            "resource": grant.kind,
            "name": grant.name,
            "pattern": "prefixed" if grant.prefixed else "literal",
            "operations": list(grant.verbs),
        }
        for grant in role.grants
    ]
    return {"role": role.name, "what": role.what, "principal": principal, "grants": grants}
