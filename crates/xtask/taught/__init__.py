"""What the emulator lacks of AWS and the tests stand on, taught to it before it starts.

Each module is one lesson: it says which fact of AWS's documentation it plays, and replaces functions of the emulator by
ones that know it. Nothing of Millrace is in here, and nothing is made easier than AWS makes it: what a lesson adds is
either an action that was skipped or a question that was not asked. tests/tests/emulator.rs shows each of them at work,
with a case that must fail.

The functions that are replaced are none of the emulator's public ones, so a lesson holds for one version. Another version
ends here with a message instead of silently doing nothing.
"""

import sys
from importlib.metadata import version

VERSION = "1.5.33"


def teach() -> None:
    """Teaches every lesson, or ends the process with what is to be done."""
    found = version("ministack")
    if found != VERSION:
        sys.exit(
            f"crates/xtask/taught knows the insides of ministack {VERSION}, and {found} is installed: "
            "install that one (crates/xtask/requirements.txt), or read what changed and move VERSION"
        )
    from taught import athena, identities, iot_rules, leading_keys, listening, regions, sagemaker, sagemaker_types

    for lesson in (athena, identities, iot_rules, leading_keys, listening, regions, sagemaker, sagemaker_types):
        lesson.teach()
