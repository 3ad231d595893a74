"""Who is champion: decisions about it, logged first and carried out then.

Belongs here: promotion, rollback, the gate's decision, and ending what a killed process began
(decision 37) or two machines did at once (decision 40). Does not belong here: the log as a file
(promotions.py), names and versions (registry.py), what decides (release/registration.py).
"""

import contextlib
import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_assets.store import promotions
from vidtag_assets.store.promotions import Promotion
from vidtag_assets.store.registry import CHALLENGER, CHAMPION, aliases, names, resolve, versions
from vidtag_assets.workspace import home
from vidtag_assets.workspace.resources import Tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow.entities.model_registry import ModelVersion

    from vidtag_ml.models.gate import Verdict

PREVIOUS = "previous"
"""Alias of the champion before the champion."""
ROLLED_BACK = "rolled_back"
"""Tag of a version that a person took back; the gate does not promote it again."""
DECISION = "decision."
"""Beginning of tags of a version: lines of the log about it, by their number and digest."""
DECIDED = "decided"
"""Tag of a registered model: the number of the last decision about it that was carried out."""

_LOG = logging.getLogger(__name__)


def settle(
    tracking: Tracking, name: str, judge: "Callable[[ModelVersion, int | None], Verdict]"
) -> "tuple[Promotion, Verdict | None]":
    """The gate's decision about the challenger, carried out and logged.

    A challenger that is champion already, that a person took back, or that was rejected against the
    same champion before, moves nothing and adds no line. If another process changes the champion
    while this one judges, it judges again.

    Args:
        tracking: MLflow's store.
        name: of the model.
        judge: the verdict on the challenger against the champion's number, if there is one.
    """
    replay(tracking)
    challenger = resolve(tracking, f"{name}@{CHALLENGER}")
    champion = aliases(tracking, name).get(CHAMPION)
    number = int(challenger.version)
    if number == champion:
        reason = f"version {number} is the champion already"
        return _about(challenger, "unchanged", champion, champion, reason), None
    if ROLLED_BACK in challenger.tags:
        reason = f"version {number} was rolled back by hand: {challenger.tags[ROLLED_BACK]}"
        return _about(challenger, "rejected", champion, champion, reason), None
    verdict = judge(challenger, champion)
    reason = "; ".join(verdict.reasons)
    tracking.client().set_model_version_tag(name, str(number), "verdict", reason)
    with _deciding(tracking) as known:
        if aliases(tracking, name).get(CHAMPION) == champion:
            action, after = ("promoted", number) if verdict.promoted else ("rejected", champion)
            entry = _about(challenger, action, after, champion, reason)
            return _decide(tracking, entry, known), verdict
    return settle(tracking, name, judge)


def promote(tracking: Tracking, name: str, version: int | str, reason: str) -> Promotion:
    """Makes a version the champion and the old champion `previous`; logs it.

    A version that is champion already stays it, and nothing is logged.

    Raises:
        ValueError: there is no such version, or no reason is given.
    """
    if not reason.strip():
        raise ValueError("a promotion needs a reason: it is all that the log tells later")
    with _deciding(tracking) as known:
        target = resolve(tracking, f"{name}/{version}")
        number, old = int(target.version), aliases(tracking, name).get(CHAMPION)
        entry = _about(target, "promoted", number, old, reason)
        return entry if old == number else _decide(tracking, entry, known)


def rollback(tracking: Tracking, name: str, reason: str) -> Promotion:
    """Makes `previous` the champion again; the gate will not promote the one taken back; logs it.

    Raises:
        ValueError: there is no previous champion, or no reason is given.
    """
    if not reason.strip():
        raise ValueError("a rollback needs a reason: it is all that the log tells later")
    with _deciding(tracking) as known:
        named = aliases(tracking, name)
        old, target = named.get(CHAMPION), named.get(PREVIOUS)
        if old is None or target is None or old == target:
            raise ValueError(f"{name} has no previous champion to go back to")
        taken_back = resolve(tracking, f"{name}/{old}")
        return _decide(tracking, _about(taken_back, "rolled back", target, old, reason), known)


def replay(tracking: Tracking) -> None:
    """Carries out the log's last decision, if the process that took it was killed before it did.

    Tells that, and what was done to the log meanwhile. A decision about a version that is no more,
    or since which the champion was changed by other means, is not carried out.
    """
    with _deciding(tracking):
        pass


@contextlib.contextmanager
def _deciding(tracking: Tracking) -> "Iterator[promotions.Copies]":
    """The right to change champions, when all decisions of the log are carried out.

    Only on this machine: others are noticed in the end (`_agreed`).

    Yields:
        the registry's copies of the log, as the decision sees them.
    """
    root = Path(tracking.root)
    with home.locked(root):
        known = recorded(tracking)
        if found := _faults(tracking, known):
            _LOG.warning(promotions.advice(root, found))
        entry = next(reversed(promotions.history(root)), None)
        if entry is not None and _is_pending(tracking, entry):
            _LOG.warning("decision %d was logged and not carried out: done now", entry.number)
            _carry_out(tracking, entry)
            known = recorded(tracking)
        yield known


def faults(tracking: Tracking) -> list[str]:
    """What was done to the log, by itself and by the registry's copies of it."""
    return _faults(tracking, recorded(tracking))


def _faults(tracking: Tracking, known: promotions.Copies) -> list[str]:
    return promotions.faults(Path(tracking.root), known, shared=tracking.server is not None)


def recorded(tracking: Tracking) -> dict[int, list[str]]:
    """The registry's copies of the log: lines by their number."""
    known = (version for name in names(tracking) for version in versions(tracking, name))
    tags = (tag for version in known for tag in version.tags.items())
    found: dict[int, list[str]] = {}
    for key, line in sorted(tags):
        if key.startswith(DECISION):
            found.setdefault(int(key.removeprefix(DECISION).partition(".")[0]), []).append(line)
    return found


def _about(
    version: "ModelVersion", action: str, champion: int | None, previous: int | None, reason: str
) -> Promotion:
    """A decision about a version, taken now."""
    bundle, number = version.tags.get("bundle", ""), int(version.version)
    now = promotions.now()
    return Promotion(now, action, version.name, number, champion, previous, reason, bundle)


def _decide(tracking: Tracking, entry: Promotion, known: promotions.Copies) -> Promotion:
    """Logs a decision and carries it out; a rejection for the same reason is logged once.

    Args:
        tracking: MLflow's store.
        entry: the decision.
        known: the registry's copies of the log when it was taken.

    Returns:
        what holds now, which is another machine's decision if that was taken at the same moment.
    """
    root = Path(tracking.root)
    rejected = [*promotions.history(root), *_entries(known)] if entry.action == "rejected" else []
    if any(_matter(entry) == _matter(other) for other in rejected):
        return entry
    logged = promotions.append(root, entry, known)
    _carry_out(tracking, logged)
    return _agreed(tracking, logged)


def _agreed(tracking: Tracking, entry: Promotion) -> Promotion:
    """The decision that stands, if another machine has taken one with the same number.

    Each machine looks after its own is carried out. So whichever is last to do so sees all of them,
    and leaves the registry as the one says that all machines find to stand.
    """
    known = recorded(tracking)
    at_once = _entries({entry.number: known.get(entry.number, [])})
    rivals = [other for other in at_once if other.model == entry.model]
    if len(rivals) < 2 or max(known) > entry.number:
        return entry
    stands = promotions.standing(rivals)
    told = [f"{e.action} {e.version} by {e.user} on {e.host}" for e in (stands, *rivals)]
    what = "decision %d was taken on several machines at once (%s): %s stands"
    _LOG.warning(what, entry.number, "; ".join(told[1:]), told[0])
    _carry_out(tracking, stands)
    return stands


def _entries(known: promotions.Copies) -> list[Promotion]:
    """The registry's copies of the log, in order."""
    lines = (line for _, copies in sorted(known.items()) for line in copies)
    return [entry for line in lines if (entry := promotions.parse(line))]


def _matter(entry: Promotion) -> tuple[Any, ...]:
    """What was decided, whenever and by whomever."""
    return entry.action, entry.model, entry.version, entry.champion, entry.reason


def _is_pending(tracking: Tracking, entry: Promotion) -> bool:
    """Whether a decision of the log was not carried out and still can be."""
    found = tracking.client().search_registered_models(f"name = '{entry.model}'")
    if not found or entry.number <= int(found[0].tags.get(DECIDED, 0)):
        return False
    bundles = {int(v.version): v.tags.get("bundle", "") for v in versions(tracking, entry.model)}
    champion = aliases(tracking, entry.model).get(CHAMPION)
    same = bundles.get(entry.version) == entry.bundle
    return same and champion in (entry.previous, entry.champion)


def _carry_out(tracking: Tracking, entry: Promotion) -> None:
    """Makes the registry what a logged decision says; doing it again changes nothing."""
    client, name, version = tracking.client(), entry.model, str(entry.version)
    if entry.action == "promoted":
        client.delete_model_version_tag(name, version, ROLLED_BACK)
        if entry.previous is not None:
            client.set_registered_model_alias(name, PREVIOUS, str(entry.previous))
        client.set_registered_model_alias(name, CHAMPION, version)
    elif entry.action == "rolled back":
        client.set_model_version_tag(name, version, ROLLED_BACK, entry.reason)
        before = _champion_before(tracking, name, entry.champion)
        if before is None:
            client.delete_registered_model_alias(name, PREVIOUS)
        else:
            client.set_registered_model_alias(name, PREVIOUS, str(before))
        client.set_registered_model_alias(name, CHAMPION, str(entry.champion))
    line = promotions.text(entry)
    key = f"{DECISION}{entry.number:04}.{hashlib.sha256(line.encode()).hexdigest()[:8]}"
    client.set_model_version_tag(name, version, key, line)
    client.set_registered_model_tag(name, DECIDED, str(entry.number))


def _champion_before(tracking: Tracking, name: str, version: int | None) -> int | None:
    """The champion that a version replaced when it was last promoted, by the registry or the log.

    The registry comes first: the log may have been lost or altered.
    """
    known = [*promotions.history(Path(tracking.root)), *_entries(recorded(tracking))]
    for entry in reversed(known):
        if (entry.model, entry.action, entry.version) == (name, "promoted", version):
            return entry.previous
    return None
