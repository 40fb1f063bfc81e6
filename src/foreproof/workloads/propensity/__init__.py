"""The propensity workload: which account buys in which product group within h steps?

A `Task` and a default plan, thin: `task` has the pairs and their labels, `plan` what a plan says of them,
`grouping` the rules that give purchases their product group.
"""

from __future__ import annotations

from foreproof.workloads.propensity.accounts import (
    UNKNOWN,
    Contacts,
    Dimension,
    contacted_at,
    dimensions_at,
)
from foreproof.workloads.propensity.grouping import grouping_findings, mapped_database
from foreproof.workloads.propensity.plan import PropensityPlan, Worth, parse_propensity
from foreproof.workloads.propensity.policies import Policies
from foreproof.workloads.propensity.task import (
    REPEAT,
    SEGMENT,
    WHITESPACE,
    Pairs,
    PropensityTask,
    check_cutoff,
    refuse_silence,
)

__all__ = [
    "REPEAT",
    "SEGMENT",
    "UNKNOWN",
    "WHITESPACE",
    "Contacts",
    "Dimension",
    "Pairs",
    "Policies",
    "PropensityPlan",
    "PropensityTask",
    "Worth",
    "check_cutoff",
    "contacted_at",
    "dimensions_at",
    "grouping_findings",
    "mapped_database",
    "parse_propensity",
    "refuse_silence",
]
