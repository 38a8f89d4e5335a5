"""Every fault that the doctor knows, as data: its code, how grave it is, when it is found, and how it is mended."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import msgspec

__all__ = ["FAULTS", "Fault", "Finding", "Level", "found", "reference_text"]

Level = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found. `code` is stable; a check that found nothing wrong is `ok` under its own name."""

    code: str
    level: Level
    what: str
    mend: str = ""


class Fault(NamedTuple):
    """`when` and `mend` are templates: {file} stands for a name that the finding fills in."""

    code: str
    level: Level
    when: str
    mend: str


_FAULTS = (
    # the file
    Fault("no_workspace", "fail", "There is no tidegate.yaml in {folder}, nor in a folder above it.",
          "Run `tidegate init DIR`, or go into a workspace, or pass --workspace DIR."),
    Fault("config_not_yaml", "fail", "{fault}", "Mend the line; `tidegate config check` shows it again."),
    Fault("config_faulty", "fail", "{fault}", "{mend}"),
    Fault("invalid_setting", "fail", "{fault}", "{mend}"),
    Fault("unknown_variable", "warn", "The environment has {name}, which Tidegate does not know.",
          "{hint} `tidegate config schema` lists the settings, under ServerBlock."),
    Fault("config_not_applied", "warn", "tidegate.yaml differs from the file that holds: {changes}.",
          "Make it hold: `tidegate apply` (first look: `tidegate apply --dry-run`)."),
    # the keys
    Fault("key_file_missing", "fail", "There is no key file {file}.",
          "Run `tidegate init {folder}`: it adds only what is missing. A restored machine needs its OLD file."),
    Fault("key_file_unreadable", "fail", "{file} cannot be read: {reason}.",
          "Run Tidegate as the user that owns it, or give it to the user that runs Tidegate."),
    Fault("key_file_open", "fail", "{file} can be read by others (mode {mode}).", "Run `chmod 600 {file}`."),
    Fault("key_file_weak", "fail", "{name} is missing, shorter than {shortest} characters, or easy to guess.",
          "Take the line out of {file} and run `tidegate init {folder}`: it makes a new one."),
    Fault("key_file_tracked", "fail", "Git tracks {file}: whoever has the repository has the keys.",
          "Run `git rm --cached {file}`, commit, and replace both keys: the history still has them."),
    Fault("state_dir_open", "warn", "Others can look into {folder} (mode {mode}).", "Run `chmod 700 {folder}`."),
    Fault("state_dir_unwritable", "fail", "{folder} cannot be written to: {reason}.",
          "Give the folder to the user that runs Tidegate, or mount its disk for writing."),
    # the certificates
    Fault("certificate_bad", "fail", "The {side} cannot speak TLS with {cert} and {key}: {reason}.",
          "Name a chain and its unencrypted key, both in PEM, by server.{side}_tls_cert and server.{side}_tls_key."),
    Fault("certificate_not_valid", "fail", "{file} is good from {begins} to {ends}, and not now.",
          "Put a new one in its place: a running process takes it up. If the dates are right, check the clock."),
    Fault("certificate_ends_soon", "warn", "{file} is good until {ends} only.",
          "Renew it and put the new one in its place: a running process takes it up by itself."),
    Fault("certificate_key_open", "warn", "Everybody on this machine can read {key} (mode {mode}).",
          "Run `chmod o= {key}`; in Kubernetes set `defaultMode` on the volume."),
    Fault("certificate_authority_bad", "fail", "{file} tells no authority to trust: {reason}.",
          "Mend `server.control_ca_file`: the certificate of whoever issued control's, in PEM."),
    # the ports
    Fault("port_taken", "fail", "{setting} {port} is taken by {process}.",
          "Stop that process, or set `{setting}` under `server:` in tidegate.yaml."),
    Fault("port_twice", "fail", "{one} and {other} are both {port}.",
          "Give each its own port under `server:` in tidegate.yaml."),
    # the database
    Fault("database_unwritable", "fail", "{file} cannot be opened for writing: {reason}.",
          "Check the owner and mode of the file and of its folder, and that the disk is mounted for writing."),
    Fault("database_locked", "fail", "{file} is locked by another process: {processes}.",
          "Wait for it to finish, or end it; Tidegate's own processes share the file without that."),
    Fault("database_corrupt", "fail", "{file} is damaged: {reason}.",
          "Stop Tidegate, keep a copy of the file, then `tidegate restore FILE` with the newest backup."),
    Fault("schema_pending", "warn", "The database is at schema {current}; {pending} is still to be done.",
          "Run `tidegate migrate`. With SQLite, control does it too before it serves."),
    Fault("schema_newer", "fail", "{fault}", "Upgrade Tidegate here too, or restore a backup made by this version."),
    Fault("postgres_unreachable", "fail", "PostgreSQL does not answer: {reason}.",
          "Check that the server runs, the way to it, and `database_url` (with a password: TIDEGATE_DATABASE_URL)."),
    Fault("calls_waiting", "warn", "{count} batches of call records wait to be unpacked.",
          "Start control (`tidegate up`, or `tidegate control`): it unpacks them, and none is lost until then."),
    Fault("calls_unread", "warn", "{count} batches of call records could not be read and are kept aside.",
          "See control's log for which. They stay in `call_batches_unread`, and their calls are missing in the log."),
    # the repository
    Fault("repository_missing", "fail", "{folder} is no Git repository; prompts come from there.",
          "Run `tidegate init` in the workspace, or `git init` there and commit, or mend `prompts.repository`."),
    Fault("repository_broken", "fail", "Git cannot open {folder}: {reason}.",
          "If another user owns it: `git config --global --add safe.directory {path}`. Else ask `git fsck` there."),
    Fault("repository_empty", "warn", "The branch {branch} of {folder} has no commit.",
          "Commit the prompts, or mend `prompts.branch`: only what is committed can be released."),
    Fault("repository_dirty", "warn", "{count} files under prompts/ are changed and not committed: {files}.",
          "Commit them: only what is committed can be released."),
    Fault("remote_missing", "fail", "The repository has no remote {remote}.",
          "Run `git remote add {remote} URL`, or set `prompts.remote` to null."),
    Fault("prompt_broken", "fail", "{fault}", "{mend}"),
    # the experiments
    Fault("experiment_overdue", "warn", "The experiment {name} should have ended {days} days ago, and goes on.",
          "Look at it: `tidegate experiment analyze {name}`. Then run `tidegate experiment decide {name}`, or `stop`."),
    # the machine
    Fault("clock_wrong", "fail", "This machine's clock says {date}.", "Set the clock, by NTP if possible."),
    Fault("clock_skewed", "fail", "This machine's clock and {other} differ by {seconds} s.",
          "Set both clocks by NTP: keys expire and releases are dated by the database's time."),
    Fault("disk_full", "fail", "{free_mb} MB are left on the disk of {folder}.",
          "Free space, or lower `policies.calls_max_mb`."),
    Fault("disk_nearly_full", "warn", "{free_mb} MB are left on the disk of {folder}.",
          "Free space, or lower `policies.calls_max_mb`."),
    Fault("inodes_nearly_used", "warn", "{free} files can still be made on the disk of {folder}.",
          "Remove files that are not needed; it is their number that counts, not their size."),
    Fault("open_files_low", "warn", "A process may have {limit} files and connections open.",
          "Raise it to at least {enough}: `ulimit -n {enough}`, or LimitNOFILE in the service's unit."),
    Fault("python_old", "fail", "This is Python {version}.", "Run Tidegate with Python {needed} or newer."),
    Fault("sqlite_old", "fail", "Python brings SQLite {version}.", "Run a Python with SQLite {needed} or newer."),
    # the models
    Fault("model_unreachable", "fail", "{model}: nothing answers at {url} ({reason}).",
          "Start the model server, or mend `base_url`."),
    Fault("local_model_missing", "fail", "{model}: the local model cannot be started here. {reason}",
          "{mend} Or name another server: `tidegate init --model URL`, or `base_url` in tidegate.yaml."),
    Fault("model_refuses_key", "fail", "{model}: {url} refuses the key ({reason}).",
          "Put a key that works into the variable that `api_key_env` names."),
    Fault("model_not_json", "fail", "{model}: {url} answers, but not as a model server does ({reason}).",
          "Mend `base_url`: it ends where the API begins, mostly at /v1, and another program may have the port."),
    Fault("model_failing", "fail", "{model}: {url} fails ({reason}).", "Look at the model server's own log."),
    Fault("model_unlisted", "warn", "{model}: {url} has no list of models, so its name cannot be checked.",
          "Nothing, if calls work; else mend `base_url`, which mostly ends at /v1."),
    Fault("model_unknown", "fail", "{model}: {url} has no model {id!r}.", "Mend `model`: the server has {known}."),
    Fault("model_key_unchecked", "ok", "{model}: {url} takes connections; its key and its model were not checked.",
          "Nothing: {provider} cannot be asked for them without a call. Send one through the gateway to be sure."),
    Fault("model_name_unchecked", "ok", "{model}: {url} takes the key; whether it has the model was not checked.",
          "Nothing: {provider} does not list every name that it takes. Send a call through the gateway to be sure."),
    Fault("api_key_unset", "fail", "{model}: the variable {variable} is not set.",
          "Set {variable} where Tidegate is started, or mend `api_key_env`."),
    Fault("key_over_http", "warn", "{model}: the key goes to {url} without encryption.",
          "Use https://, unless the network between is yours alone."),
    Fault("price_unknown", "warn", "{model}: the price is unknown, and so is the cost of every call.",
          "Write the price under `price`, in dollars for 1,000,000 tokens; `auto` takes what the catalogue lists."),
    Fault("notifier_unset", "warn", "The notifier {name} has no address: the variable {variable} is not set.",
          "Set {variable} where Tidegate is started, or mend `url_env`."),
    # what serves
    Fault("supervisor_stale", "warn", "{file} tells of process {pid}, which is gone: the last stop was not clean.",
          "Nothing, if Tidegate shall stay down; `tidegate up` clears it away. Its log says why it ended."),
    Fault("process_dead", "fail", "{name} does not run ({state}), though `tidegate up` does.",
          "Look at {log}; restart `tidegate up` when the reason is mended."),
    Fault("snapshot_damaged", "warn", "{file}, which gateways start from while the database is away, is damaged.",
          "Remove it: a gateway writes it anew at the next change, or at `tidegate up`."),
    Fault("calls_overdue", "warn", "The call log is over its bound: {what}.",
          "Control prunes it while it runs: start it, or raise the bound under `policies:`."),
    Fault("check_failed", "fail", "The check {name} itself failed: {reason}.",
          "Report this with the output of `tidegate doctor --json`."),
)  # fmt: skip

FAULTS: Mapping[str, Fault] = MappingProxyType({fault.code: fault for fault in _FAULTS})


def found(code: str, **names: object) -> Finding:
    """The finding of a fault, its names filled in."""
    fault = FAULTS[code]
    return Finding(code=code, level=fault.level, what=fault.when.format(**names), mend=fault.mend.format(**names))


def reference_text() -> str:
    """docs/reference/doctor.md: every code with its mend."""
    lines = [
        "# What `tidegate doctor` finds",
        "",
        "It runs without a server and in seconds. `fail` makes its exit code 1, `warn` does not; `--json` prints the",
        "same findings for machines. Words in capitals stand for the name that the finding tells.",
        "",
        "| code | level | found when | mend |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{one.code}` | {one.level} | {_plain(one.when)} | {_plain(one.mend)} |" for one in _FAULTS]
    return "\n".join(lines) + "\n"


def _plain(template: str) -> str:
    return re.sub(r"\{(\w+)(![rs])?\}", lambda match: match[1].upper(), template)
