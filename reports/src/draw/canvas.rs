//! Charts as SVG that takes its colours, dashes and fonts from the page around it.
//!
//! plotters writes colours inline, where no style sheet and no dark mode can reach them. So charts are drawn in colours
//! that nobody would choose (an [`Ink`] each), and [`finish`] turns those into classes. Coordinates are whole numbers;
//! charts are drawn at twice the size at which they are read, so that half a pixel is not lost.

use plotters::{
    coord::ranged1d::{KeyPointHint, Ranged},
    drawing::DrawingAreaErrorKind,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// Drawn width of every chart, in half pixels.
pub(super) const WIDTH: u32 = 1280;

/// Colours in the page's palette, after which they repeat.
const COLOURS: usize = 8;

/// Dash patterns in the page's palette, after which they repeat. Five and eight share no factor, so forty series can be
/// told apart by colour and dash.
const DASHES: usize = 5;

/// Size of axis labels; plotters writes it divided by 1.24.
pub(super) const LABEL_SIZE: f64 = 31.0;

/// A chart could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw a chart: {0}")]
pub struct ChartError(String);

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for ChartError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self(error.to_string())
    }
}

/// What something is drawn with; the page decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Words.
    Text,
    /// Axes and the lines from a label to what it names.
    Axis,
    /// Lines to read values off.
    Grid,
    /// The line of the SLO latency.
    Slo,
    /// Offered load.
    Offered,
    /// Admitted load.
    Admitted,
    /// The time in which something failed.
    Faults,
    /// What is better, worse, or neither.
    Better,
    Worse,
    Undecided,
    /// A measure over a setting: its line and points, the spread of the seeds, what never came, what the file has, and
    /// where it tips over.
    Sweep,
    Point,
    Whisker,
    Never,
    OfFile,
    Tipping,
    /// What was served within the SLO.
    Goodput,
    /// Workers in use.
    InFlight,
    /// Those who wait for one.
    Queued,
    /// All workers there are.
    Workers,
    /// Attempts for each request.
    Amplification,
    /// What a bucket has in use of its limit.
    Saturation,
    /// A breaker that lets through.
    Closed,
    /// A breaker that tests.
    HalfOpen,
    /// A breaker that rejects.
    Open,
    /// A cell of a heatmap, the more in it the higher, below [`HEATS`].
    Heat(usize),
    /// One of several lines.
    Series(usize),
}

/// Colours of a heatmap in the page's palette.
pub(crate) const HEATS: usize = 6;

impl Ink {
    fn all() -> impl Iterator<Item = Self> {
        let named = [
            Self::Text,
            Self::Axis,
            Self::Grid,
            Self::Slo,
            Self::Offered,
            Self::Admitted,
            Self::Faults,
            Self::Goodput,
            Self::InFlight,
            Self::Queued,
            Self::Workers,
            Self::Amplification,
            Self::Saturation,
            Self::Closed,
            Self::HalfOpen,
            Self::Open,
        ];
        let judged = [Self::Better, Self::Worse, Self::Undecided];
        let swept = [Self::Sweep, Self::Point, Self::Whisker, Self::Never, Self::OfFile, Self::Tipping];
        named
            .into_iter()
            .chain(judged)
            .chain(swept)
            .chain((0..HEATS).map(Self::Heat))
            .chain((0..COLOURS * DASHES).map(Self::Series))
    }

    /// The colour that stands for it until [`finish`].
    pub(super) fn colour(self) -> RGBColor {
        let (role, place) = match self {
            Self::Text => (1, 0),
            Self::Axis => (2, 0),
            Self::Grid => (3, 0),
            Self::Slo => (4, 0),
            Self::Offered => (5, 0),
            Self::Admitted => (6, 0),
            Self::Faults => (8, 0),
            Self::Goodput => (9, 0),
            Self::InFlight => (10, 0),
            Self::Queued => (11, 0),
            Self::Workers => (12, 0),
            Self::Amplification => (13, 0),
            Self::Saturation => (14, 0),
            Self::Closed => (15, 0),
            Self::HalfOpen => (16, 0),
            Self::Open => (17, 0),
            Self::Heat(level) => (18, level.min(HEATS - 1) as u8),
            Self::Better => (19, 0),
            Self::Worse => (19, 1),
            Self::Undecided => (19, 2),
            Self::Sweep => (20, 0),
            Self::Point => (20, 1),
            Self::Whisker => (20, 2),
            Self::Never => (20, 3),
            Self::OfFile => (20, 4),
            Self::Tipping => (20, 5),
            Self::Series(place) => (7, (place % (COLOURS * DASHES)) as u8),
        };
        RGBColor(0xFE, role, place)
    }

    /// How the style sheet calls it.
    pub(crate) fn class(self) -> String {
        let name = match self {
            Self::Text => "text",
            Self::Axis => "axis",
            Self::Grid => "grid",
            Self::Slo => "slo",
            Self::Offered => "offered",
            Self::Admitted => "admitted",
            Self::Faults => "faults",
            Self::Goodput => "goodput",
            Self::InFlight => "in-flight",
            Self::Queued => "queued",
            Self::Workers => "workers",
            Self::Amplification => "amplification",
            Self::Saturation => "saturation",
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Undecided => "undecided",
            Self::Sweep => "sweep",
            Self::Point => "point",
            Self::Whisker => "whisker",
            Self::Never => "never",
            Self::OfFile => "of-file",
            Self::Tipping => "tipping",
            Self::Heat(level) => return format!("heat-{}", level.min(HEATS - 1)),
            Self::Series(place) => return format!("series-{} dash-{}", place % COLOURS, place % DASHES),
        };
        name.to_owned()
    }

    pub(super) fn line(self, width: u32) -> ShapeStyle {
        self.colour().stroke_width(width)
    }

    pub(super) fn words(h_pos: HPos, v_pos: VPos) -> TextStyle<'static> {
        FontDesc::new(FontFamily::Name("inherit"), LABEL_SIZE, FontStyle::Normal)
            .color(&Self::Text.colour())
            .pos(Pos::new(h_pos, v_pos))
    }
}

/// An axis with its ticks where we want them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(super) low: f64,
    pub(crate) high: f64,
    pub(crate) ticks: Vec<f64>,
}

impl Axis {
    /// From zero to a round number at or above `top`, with at most five ticks at whole numbers.
    pub(crate) fn from_zero(top: f64) -> Self {
        let top = if top.is_finite() { top.max(1.0) } else { 1.0 };
        let mut step = 1.0;
        for factor in [2.0, 2.5, 2.0].into_iter().cycle().take(60) {
            if step * 5.0 >= top {
                break;
            }
            // 1, 2, 5, 10: no step is half a request.
            step *= factor;
        }
        let steps = (top / step).ceil().max(1.0);
        Self {
            low: 0.0,
            high: steps * step,
            ticks: (0..=steps as u32).map(|n| f64::from(n) * step).collect(),
        }
    }

    /// From a round number at or below `low` to one at or above `high`, with at most seven ticks.
    pub(super) fn spanning(low: f64, high: f64) -> Self {
        let (low, high) =
            if low.is_finite() && high.is_finite() && low < high { (low, high) } else { (0.0, 1.0) };
        let mut step = 1e-6;
        for factor in [2.0, 2.5, 2.0].into_iter().cycle().take(100) {
            if step * 5.0 >= high - low {
                break;
            }
            step *= factor;
        }
        let (from, to) = ((low / step).floor(), (high / step).ceil());
        let steps = (to - from).max(1.0) as u32;
        Self {
            low: from * step,
            high: to * step,
            ticks: (0..=steps).map(|n| (from + f64::from(n)) * step).collect(),
        }
    }

    pub(super) fn coordinate(&self) -> Coordinate {
        Coordinate { axis: self.clone() }
    }
}

/// The axis as plotters asks for it: its ticks are the key points, however many plotters would like.
pub(super) struct Coordinate {
    axis: Axis,
}

impl Ranged for Coordinate {
    type FormatOption = plotters::coord::ranged1d::NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.axis.low) / (self.axis.high - self.axis.low);
        from + (f64::from(to - from) * share.clamp(0.0, 1.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.axis.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.axis.low..self.axis.high
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for Coordinate {
    fn format(value: &f64) -> String {
        value.to_string()
    }
}

/// A step of a downsampled series: the largest of the seconds that it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) from_s: f64,
    /// Exclusive.
    pub(crate) to_s: f64,
    pub(crate) most: f64,
}

/// How many seconds one of at most `columns` steps stands for.
pub(crate) fn seconds_per_step(seconds: usize, columns: usize) -> usize {
    seconds.div_ceil(columns.max(1)).max(1)
}

/// The series in steps of so many seconds. A peak of one second survives, which an average would hide; it is what one
/// looks for in the chart of an incident.
pub(crate) fn downsample(series: &[u64], seconds_per_step: usize) -> Vec<Step> {
    let chunks = series.chunks(seconds_per_step.max(1)).enumerate();
    let steps = chunks.map(|(place, chunk)| {
        let from_s = place * seconds_per_step;
        let most = chunk.iter().copied().max().unwrap_or(0) as f64;
        Step { from_s: from_s as f64, to_s: (from_s + chunk.len()) as f64, most }
    });
    steps.collect()
}

/// The drawn chart as markup that can stand in the page: sized by its box, named and described for those who do not see
/// it, coloured by classes. `id` has to be unique on the page.
pub(super) fn finish(svg: &str, id: &str, title: &str, description: &str) -> String {
    let body = svg.find('>').map_or("", |end| &svg[end + 1..]);
    let height = attribute(svg, "height").unwrap_or("0");
    let body = inked(body);
    let (title, description) = (escaped(title), escaped(description));
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
         <title id=\"{id}-title\">{title}</title>\n<desc id=\"{id}-desc\">{description}</desc>{body}"
    )
}

/// Elements that a reader can fold away together: a group with an attribute that names the variants that they are of.
///
/// plotters knows no groups, so what belongs to one is drawn alone.
pub(super) fn group(
    variants: &str,
    height: u32,
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Result<(), ChartError>,
) -> Result<String, ChartError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw(&root)?;
        root.present()?;
    }
    let begin = svg.find('>').map_or(0, |end| end + 1);
    let end = svg.rfind("</svg>").unwrap_or(svg.len()).max(begin);
    Ok(format!("<g data-variants=\"{}\">{}</g>\n", escaped(variants), &svg[begin..end]))
}

/// A drawing with groups in front of all else.
pub(super) fn with_groups(svg: &str, groups: &[String]) -> String {
    let end = svg.rfind("</svg>").unwrap_or(svg.len());
    format!("{}{}{}", &svg[..end], groups.concat(), &svg[end..])
}

/// The drawing with classes in place of sentinel colours.
pub(super) fn inked(drawn: &str) -> String {
    let mut body = drawn.to_owned();
    for ink in Ink::all() {
        let RGBColor(red, green, blue) = ink.colour();
        let sentinel = format!("\"#{red:02X}{green:02X}{blue:02X}\"");
        if body.contains(&sentinel) {
            // Only one of the two is a colour, the other is `none` or absent; words hold no bare quotation mark.
            let class = ink.class();
            body = body
                .replace(&format!("stroke={sentinel}"), &format!("class=\"line {class}\""))
                .replace(&format!("fill={sentinel}"), &format!("class=\"fill {class}\""));
        }
    }
    body
}

/// The value of an attribute of the first element.
pub(super) fn attribute<'a>(svg: &'a str, name: &str) -> Option<&'a str> {
    let start = svg.find(&format!(" {name}=\""))? + name.len() + 3;
    svg[start..].split('"').next()
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downsampling_keeps_every_maximum_that_counts() {
        let mut series = vec![100; 75_000];
        series[43_210] = 5000;
        let steps = downsample(&series, seconds_per_step(series.len(), 600));
        assert_eq!(steps.len(), 600);
        assert_eq!(steps.iter().filter(|step| step.most > 4999.0).count(), 1);
        assert_eq!(steps.last().map(|step| step.to_s), Some(75_000.0));
        assert_eq!(downsample(&[1, 2, 3], seconds_per_step(3, 600)).len(), 3);
        assert!(downsample(&[], seconds_per_step(0, 600)).is_empty());
    }

    #[test]
    fn axes_end_on_round_numbers() {
        let axis = |top| Axis::from_zero(top).ticks;
        assert_eq!(axis(0.0), [0.0, 1.0]);
        assert_eq!(axis(7.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(axis(617.0), [0.0, 200.0, 400.0, 600.0, 800.0]);
        assert_eq!(axis(f64::NAN), [0.0, 1.0]);
        assert!(axis(1e18).len() <= 6);
        assert_eq!(Axis::spanning(-7.0, 12.0).ticks, [-10.0, -5.0, 0.0, 5.0, 10.0, 15.0]);
        assert_eq!(Axis::spanning(f64::NAN, 1.0).ticks.first(), Some(&0.0));
    }

    #[test]
    fn sentinels_become_classes_and_words_stay_words() {
        let drawn = "<svg width=\"9\" height=\"7\" viewBox=\"0\">\n<line stroke=\"#FE0300\"/><text \
                     fill=\"#FE0100\">fill=&quot;#FE0100&quot;</text></svg>";
        let finished = finish(drawn, "c", "a < b", "");
        assert!(finished.contains("viewBox=\"0 0 1280 7\""));
        assert!(
            finished
                .contains("<line class=\"line grid\"/><text class=\"fill text\">fill=&quot;#FE0100&quot;<")
        );
        assert!(finished.contains("<title id=\"c-title\">a &lt; b</title>"));
    }

    #[test]
    fn forty_series_differ_in_colour_or_dash() {
        let classes: std::collections::BTreeSet<String> =
            (0..40).map(|place| Ink::Series(place).class()).collect();
        assert_eq!(classes.len(), 40);
    }
}
