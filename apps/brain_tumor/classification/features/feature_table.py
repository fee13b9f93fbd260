"""Every measured feature: its id, its name in words, its unit and what more of it means.

The evidence and the rationale take their words from here. Ids and their order are stable: a model
stores the ids that it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from brain_tumor.errors import InputError


class FeatureGroup(StrEnum):
    """What kind of thing a feature measures; ablations leave whole groups out."""

    MORPHOLOGY = "morphology"
    BOUNDARY = "boundary"
    CHAOS = "chaos"
    ENHANCEMENT = "enhancement"
    MARGIN = "margin"
    LOCATION = "location"
    CONTEXT = "context"


@dataclass(frozen=True)
class FeatureDefinition:
    """What a feature is.

    Attributes:
        id: Stable id.
        name: Name in words, lower case, for a sentence.
        unit: "mm", "mm2", "1/mm" or "1" for a ratio.
        higher_means: What a higher value means, as the end of the sentence "higher means ...".
        group: Kind of feature.
    """

    id: str
    name: str
    unit: str
    higher_means: str
    group: FeatureGroup


def _group(group: FeatureGroup, *rows: tuple[str, str, str, str]) -> tuple[FeatureDefinition, ...]:
    return tuple(FeatureDefinition(*row, group) for row in rows)


FEATURES: tuple[FeatureDefinition, ...] = (
    *_group(
        FeatureGroup.MORPHOLOGY,
        ("area_mm2", "area in the slice", "mm2", "a larger tumour"),
        ("perimeter_mm", "length of the outline", "mm", "a larger or more ragged tumour"),
        ("longest_diameter_mm", "longest diameter", "mm", "a larger tumour"),
        ("compactness", "compactness", "1", "a rounder outline (a circle has 1)"),
        ("solidity", "solidity", "1", "fewer notches in the outline (1 is convex)"),
        ("eccentricity", "eccentricity", "1", "a longer, narrower shape (a circle has 0)"),
        ("elongation", "long over short axis", "1", "a longer, narrower shape"),
        ("extent", "share of the tightest rectangle", "1", "a fuller, blockier shape"),
        ("irregularity", "radial irregularity", "1", "a less circular outline"),
    ),
    *_group(
        FeatureGroup.BOUNDARY,
        ("boundary_information", "local irregularity of the outline", "1", "a rougher outline"),
        ("boundary_roughness", "roughness of the outline", "1", "more fine bumps on the outline"),
        ("curvature_variation", "variation of curvature", "1", "more bends in the outline"),
        ("concave_share", "concave share of the outline", "1", "more bays in the outline"),
        ("weighted_sd", "spread of the weighted outline", "1", "irregularity in few places"),
        ("weighted_skewness", "skewness of the weighted outline", "1", "few outstanding spikes"),
        ("weighted_roughness", "roughness of the weighted outline", "1", "more abrupt changes"),
    ),
    *_group(
        FeatureGroup.CHAOS,
        (
            "lyapunov",
            "Lyapunov exponent per turn of the outline",
            "1",
            "a less predictable outline",
        ),
        ("approximate_entropy", "approximate entropy of the outline", "1", "less repetition"),
        ("sample_entropy", "sample entropy of the outline", "1", "less repetition"),
        ("permutation_entropy", "permutation entropy of the outline", "1", "less order"),
        ("correlation_dimension", "correlation dimension of the outline", "1", "more complexity"),
        ("higuchi_dimension", "Higuchi dimension of the outline", "1", "a rougher outline"),
        ("katz_dimension", "Katz dimension of the outline", "1", "a more winding outline"),
        ("petrosian_dimension", "Petrosian dimension of the outline", "1", "more turns"),
        ("box_dimension", "box-counting dimension of the outline", "1", "a more crumpled outline"),
    ),
    *_group(
        FeatureGroup.ENHANCEMENT,
        (
            "ring_enhancement_index",
            "ring-enhancement index",
            "1",
            "a rim brighter than the core (1 is no ring)",
        ),
        (
            "ring_enhancement_published",
            "ring-enhancement index, rim over whole",
            "1",
            "a rim brighter than the whole tumour",
        ),
        ("rim_core_contrast", "rim less core brightness", "1", "a brighter rim than core"),
        ("enhancement_ratio", "brightness relative to brain", "1", "stronger enhancement"),
        ("enhancement_heterogeneity", "heterogeneity of enhancement", "1", "uneven enhancement"),
        ("heterogeneity_published", "sd over mean of brightness", "1", "uneven enhancement"),
        ("necrosis_fraction", "necrotic share", "1", "more dark core inside bright tumour"),
        ("hypointense_fraction", "share darker than brain", "1", "less enhancement"),
        ("bright_fraction", "share much brighter than brain", "1", "more enhancing tumour"),
        ("brightest_tenth", "brightness of the brightest tenth", "1", "stronger peak enhancement"),
        ("darkest_tenth", "brightness of the darkest tenth", "1", "no dark parts"),
        (
            "contralateral_ratio",
            "brightness relative to the mirror side",
            "1",
            "brighter than the healthy side",
        ),
    ),
    *_group(
        FeatureGroup.MARGIN,
        ("margin_contrast", "contrast of the margin", "1", "a tumour brighter than around it"),
        ("margin_width_mm", "width of the margin", "mm", "a more blurred margin"),
        ("surrounding_brain_share", "share of brain around", "1", "a tumour inside brain tissue"),
        (
            "surrounding_dark_share",
            "share of air, bone or fluid around",
            "1",
            "a tumour next to air, bone or fluid",
        ),
        (
            "surrounding_bright_share",
            "share of vessels or fat around",
            "1",
            "a tumour next to vessels, dura or fat",
        ),
        ("surrounding_variation", "variation around the tumour", "1", "mixed surroundings"),
        ("surrounding_intensity", "brightness around the tumour", "1", "no dark halo (oedema)"),
        ("oedema_extent_mm", "reach of the oedema on FLAIR", "mm", "more oedema"),
        ("oedema_ratio", "oedema over tumour area on FLAIR", "1", "more oedema"),
    ),
    *_group(
        FeatureGroup.LOCATION,
        ("sella_distance_mm", "distance to the sella", "mm", "farther from the sella"),
        ("depth_below_top_mm", "depth below the top of the head", "mm", "lower or farther back"),
        ("height_in_head", "relative depth below the top", "1", "lower or farther back"),
        ("surface_distance_mm", "distance to the surface of the head", "mm", "deeper"),
        ("central_position", "position between centre and border", "1", "farther outside"),
        ("lateral_offset_mm", "offset from the midline", "mm", "farther to the side"),
        ("lateral_offset", "offset over half the brain's width", "1", "farther to the side"),
        (
            "midline_distance_mm",
            "distance of the outline to the midline",
            "mm",
            "clear of the falx (0 touches or crosses the midline)",
        ),
        ("midline_shift_mm", "midline shift", "mm", "more mass effect"),
        ("midline_shift_share", "midline shift over the brain's width", "1", "more mass effect"),
        ("border_distance_mm", "distance to the dura", "mm", "farther from dura and skull"),
        ("border_contact_mm", "contact length with the dura", "mm", "a broader base on the dura"),
        ("border_contact_ratio", "share of the outline at the dura", "1", "a broader base"),
        ("dural_tail_index", "dural tail index", "1", "a brighter dura beside the tumour"),
    ),
    *_group(
        FeatureGroup.CONTEXT,
        ("mirror_symmetry", "mirror symmetry of the slice", "1", "an axial or coronal slice"),
        ("space_above_brain_mm", "face above the brain", "mm", "an axial slice at the skull base"),
        ("space_below_brain_mm", "head below the brain", "mm", "a coronal or sagittal slice"),
    ),
)

FEATURE_IDS: tuple[str, ...] = tuple(feature.id for feature in FEATURES)
_BY_ID = {feature.id: feature for feature in FEATURES}


def feature(feature_id: str) -> FeatureDefinition:
    """Definition of one feature.

    Raises:
        InputError: If there is no such feature.
    """
    if feature_id not in _BY_ID:
        raise InputError(f"feature '{feature_id}' does not exist; expected an id of FEATURES")
    return _BY_ID[feature_id]
