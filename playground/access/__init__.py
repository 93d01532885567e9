"""Who may use this server, for what, and how much. Knows no HTTP framework and no page; the faces
ask `Access`.
"""

from playground.access.access import Access, Credentials, check_exposure, open_access
from playground.access.budgets import Budgets, describe_budget
from playground.access.demo import DemoRules
from playground.access.fair_use import FairUse
from playground.access.identity import LOCAL, Identity, acting_as, current_identity
from playground.access.links import DemoLinks
from playground.access.people import People
from playground.access.roles import ROLES, SCOPES, Area

__all__ = [
    "LOCAL",
    "ROLES",
    "SCOPES",
    "Access",
    "Area",
    "Budgets",
    "Credentials",
    "DemoLinks",
    "DemoRules",
    "FairUse",
    "Identity",
    "People",
    "acting_as",
    "check_exposure",
    "current_identity",
    "describe_budget",
    "open_access",
]
