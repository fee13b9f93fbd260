"""What a sentence asserts, and whether the facts bear it out.

The composer plans its sentences as claims; the verifier reads claims out of any sentence. A claim
names the facts that it rests on, so that the link from sentence to evidence is never a model's.
"""

from brain_tumor.explanation.rationale.claims.base import (
    NEARLY_ALL,
    RANK_STEP,
    STRENGTHS,
    Claim,
    strength_of,
)
from brain_tumor.explanation.rationale.claims.decision import (
    CounterfactualClaim,
    NoCounterfactualClaim,
    OutsideClaim,
    OutsideLimitClaim,
    ProbabilityClaim,
    RunnerUpClaim,
    SetClaim,
    SimilarClaim,
    ThinEvidenceClaim,
    TypeClaim,
    UndeterminedClaim,
)
from brain_tumor.explanation.rationale.claims.features import (
    NotMeasuredClaim,
    PlaceClaim,
    RankClaim,
    SupportClaim,
    TypicalClaim,
    UnknownPlaceClaim,
    ValueClaim,
    ViewClaim,
)
from brain_tumor.explanation.rationale.claims.heat import (
    FaithfulnessClaim,
    HeatAgreementClaim,
    HeatNearClaim,
    HeatPeakClaim,
    HeatPeakNearClaim,
    HeatShareClaim,
)
from brain_tumor.explanation.rationale.claims.scope import LookalikeClaim, ScopeClaim
from brain_tumor.explanation.rationale.claims.symptoms import SymptomClaim, SymptomConflictClaim

__all__ = [
    "NEARLY_ALL",
    "RANK_STEP",
    "STRENGTHS",
    "Claim",
    "CounterfactualClaim",
    "FaithfulnessClaim",
    "HeatAgreementClaim",
    "HeatNearClaim",
    "HeatPeakClaim",
    "HeatPeakNearClaim",
    "HeatShareClaim",
    "LookalikeClaim",
    "NoCounterfactualClaim",
    "NotMeasuredClaim",
    "OutsideClaim",
    "OutsideLimitClaim",
    "PlaceClaim",
    "ProbabilityClaim",
    "RankClaim",
    "RunnerUpClaim",
    "ScopeClaim",
    "SetClaim",
    "SimilarClaim",
    "SupportClaim",
    "SymptomClaim",
    "SymptomConflictClaim",
    "ThinEvidenceClaim",
    "TypeClaim",
    "TypicalClaim",
    "UndeterminedClaim",
    "UnknownPlaceClaim",
    "ValueClaim",
    "ViewClaim",
    "strength_of",
]
