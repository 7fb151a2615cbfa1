//! docs/CRASH-POINTS.md names every point there is.

use failpoints::Point;

#[test]
fn every_point_stands_in_the_guide() {
    let guide = include_str!("../../../../docs/CRASH-POINTS.md");
    let missing: Vec<_> = Point::ALL.iter().map(|p| p.name()).filter(|n| !guide.contains(&format!("`{n}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
