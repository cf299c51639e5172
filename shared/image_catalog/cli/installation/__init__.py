"""An installation in a cluster: whether it is whole, and taking it away again."""

from image_catalog.cli.installation.checks import CHECKS, run_checks
from image_catalog.cli.installation.findings import Finding, State
from image_catalog.cli.installation.removal import Removal, Step, carry_out, plan_removal
from image_catalog.cli.installation.surroundings import AUDIT_SECRET, NAMESPACE, Reach, Surroundings, probe

__all__ = [
    "AUDIT_SECRET",
    "CHECKS",
    "NAMESPACE",
    "Finding",
    "Reach",
    "Removal",
    "State",
    "Step",
    "Surroundings",
    "carry_out",
    "plan_removal",
    "probe",
    "run_checks",
]
