//! Colours of the page held against each other, as its style sheet has them.

const SHEET: &str = include_str!("../../../templates/page.css");

/// The colours of a scheme by name; of several blocks the first is the light one, and the second the dark one.
fn colour(block: usize, name: &str) -> [f64; 3] {
    let block = SHEET.split(":root {").nth(block + 1).unwrap();
    let block = block.split('}').next().unwrap();
    let value = block.split(&format!("--{name}: #")).nth(1).unwrap_or_else(|| panic!("no --{name}"));
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&value[at..at + 2], 16).unwrap()) / 255.0)
}

/// As WCAG 2 defines it, from 1 (the same) to 21.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let luminance = |colour: [f64; 3]| {
        let [red, green, blue] = colour.map(|share| {
            if share <= 0.040_45 { share / 12.92 } else { libm::pow((share + 0.055) / 1.055, 2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn contrast_is_that_of_the_standard() {
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
    // Its own example of just enough, #767676 on white: 4.54.
    assert!((contrast([f64::from(0x76_u8) / 255.0; 3], [1.0; 3]) - 4.54).abs() < 0.01);
}

/// A cell of few requests is what one looks for in a tail: it must not pass for the lane, nor for the time of a fault.
#[test]
fn every_cell_of_a_heatmap_stands_out_from_what_is_behind_it_and_from_the_next() {
    for scheme in [0, 1] {
        let heats: Vec<_> =
            (0..crate::draw::canvas::HEATS).map(|level| colour(scheme, &format!("heat-{level}"))).collect();
        for behind in ["raised", "faults", "page"] {
            for (level, heat) in heats.iter().enumerate() {
                let contrast = contrast(*heat, colour(scheme, behind));
                assert!(contrast >= 1.5, "scheme {scheme}: heat-{level} on {behind} is {contrast:.2}");
            }
        }
        for (level, pair) in heats.windows(2).enumerate() {
            let contrast = contrast(pair[0], pair[1]);
            assert!(contrast >= 1.3, "scheme {scheme}: heat-{level} and the next are {contrast:.2}");
        }
    }
}
