"""Features that say nearly the same, and features of the view rather than of the tumour."""

from __future__ import annotations

from brain_tumor.classification.features.feature_table import FEATURE_IDS, FeatureGroup, feature

FAMILIES: tuple[frozenset[str], ...] = tuple(
    frozenset(family)
    for family in (
        ("area_mm2", "perimeter_mm", "longest_diameter_mm"),
        ("compactness", "irregularity", "solidity", "concave_share"),
        ("eccentricity", "elongation"),
        ("boundary_information", "boundary_roughness", "curvature_variation"),
        ("weighted_sd", "weighted_roughness", "weighted_skewness"),
        ("approximate_entropy", "sample_entropy", "permutation_entropy", "lyapunov"),
        ("higuchi_dimension", "katz_dimension", "petrosian_dimension", "box_dimension"),
        ("ring_enhancement_index", "ring_enhancement_published", "rim_core_contrast"),
        ("enhancement_ratio", "bright_fraction", "hypointense_fraction", "contralateral_ratio"),
        ("enhancement_heterogeneity", "heterogeneity_published"),
        ("necrosis_fraction", "darkest_tenth"),
        ("surrounding_variation", "surrounding_intensity"),
        ("oedema_extent_mm", "oedema_ratio"),
        ("depth_below_top_mm", "height_in_head"),
        ("lateral_offset_mm", "lateral_offset", "midline_distance_mm"),
        ("midline_shift_mm", "midline_shift_share"),
        ("border_distance_mm", "border_contact_mm", "border_contact_ratio"),
    )
)


def family_of(feature_id: str) -> frozenset[str]:
    """Features of which one sentence is enough; the feature alone if it is like no other."""
    return next((f for f in FAMILIES if feature_id in f), frozenset({feature_id}))


def is_view(feature_id: str) -> bool:
    """Whether a feature describes the slice rather than the tumour."""
    return feature_id in FEATURE_IDS and feature(feature_id).group is FeatureGroup.CONTEXT


def is_inside(feature_id: str) -> bool:
    """Whether the place of a feature is a part of the tumour or its margin."""
    return feature_id in FEATURE_IDS and feature(feature_id).group in {
        FeatureGroup.ENHANCEMENT,
        FeatureGroup.MARGIN,
    }
