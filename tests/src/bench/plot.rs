//! Acknowledged writes over time around an event, as a picture: one strip and one line per settings, all
//! with the same axes. It brings its own background, so that it can be read on light and dark pages.

use std::fmt::Write as _;

use super::event::{Event, Set};
use super::figures::{BEFORE, BIN};
use super::record::{Record, Run};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 206.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 62.0;
const STRIP: f64 = 84.0;
const BETWEEN: f64 = 18.0;
const BOTTOM: f64 = 52.0;

/// Colours that people with colour blindness can tell apart, too, for either background.
const STYLE: &str = "\
    svg { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 13px }
    .page { fill: #ffffff } text { fill: #1f2328 } .quiet { fill: #59636e } .strong { font-weight: 600 }
    .title { font-size: 16px; font-weight: 600 } .grid { stroke: #d1d9e0 } .axis { stroke: #59636e }
    .event { stroke: #1f2328; stroke-dasharray: 4 3 } .gap { fill: #cf222e; fill-opacity: 0.12 }
    .seed { stroke: #b35900; fill: #b35900 } .fast { stroke: #007a55; fill: #007a55 }
    .balanced { stroke: #0969da; fill: #0969da } .tolerant { stroke: #8250df; fill: #8250df }
    .line { fill: none; stroke-width: 1.6; stroke-linejoin: round } .area { stroke: none; fill-opacity: 0.16 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } text { fill: #e6edf3 } .quiet { fill: #9198a1 } .grid { stroke: #30363d }
      .axis { stroke: #9198a1 } .event { stroke: #e6edf3 } .gap { fill: #ff7b72; fill-opacity: 0.2 }
      .seed { stroke: #f0883e; fill: #f0883e } .fast { stroke: #3fb950; fill: #3fb950 }
      .balanced { stroke: #58a6ff; fill: #58a6ff } .tolerant { stroke: #d2a8ff; fill: #d2a8ff }
      .line { fill: none } .area { stroke: none; fill-opacity: 0.2 }
    }
";

/// The picture of an event; `None` where it was never played.
pub fn svg(record: &Record, event: Event) -> Option<String> {
    let runs: Vec<&Run> = Set::ALL.into_iter().filter_map(|set| record.typical(event, set)).collect();
    if runs.is_empty() {
        return None;
    }
    let scale = Scale::of(&runs);
    let strips: f64 = runs.iter().map(|_| STRIP + BETWEEN).sum();
    let height = TOP + strips + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" width=\"{WIDTH:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"title\" x=\"20\" y=\"26\">{title}</text>\n\
         <text class=\"quiet\" x=\"20\" y=\"46\">Writes acknowledged through VIP:6432, per second; for each \
         settings the repeat with the median gap ({clients} clients)</text>\n",
        title = event.title(),
        clients = event.clients(),
    );
    let mut top = TOP;
    for run in &runs {
        svg += &strip(run, &scale, top);
        top += STRIP + BETWEEN;
    }
    svg += &seconds(&scale, top - BETWEEN);
    svg += "</svg>\n";
    Some(svg)
}

/// What a pixel means; the same for every strip.
struct Scale {
    from: f64,
    to: f64,
    most: f64,
}

impl Scale {
    fn of(runs: &[&Run]) -> Self {
        let from = -BEFORE.as_secs_f64();
        let end = |run: &&Run| (run.figures.gap_began + run.figures.gap + 5.0).min(moment(run.figures.bins.len()));
        let to = runs.iter().map(end).fold(5.0, f64::max).ceil();
        let most = runs.iter().flat_map(|run| &run.figures.bins).map(|bin| rate(*bin)).fold(1.0, f64::max);
        Self { from, to, most: round_up(most) }
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + (second.clamp(self.from, self.to) - self.from) / (self.to - self.from) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, rate: f64, top: f64) -> f64 {
        top + STRIP * (1.0 - rate.min(self.most) / self.most)
    }
}

/// When a bin begins, since the event.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn moment(bin: usize) -> f64 {
    bin as f64 * BIN.as_secs_f64() - BEFORE.as_secs_f64()
}

fn rate(bin: u32) -> f64 {
    f64::from(bin) / BIN.as_secs_f64()
}

/// 1, 2 or 5 times a power of ten.
fn round_up(most: f64) -> f64 {
    let power = 10f64.powf(most.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= most).unwrap_or(most)
}

fn strip(run: &Run, scale: &Scale, top: f64) -> String {
    let (set, bottom, right) = (run.settings, top + STRIP, WIDTH - RIGHT);
    let (middle, half) = (scale.y(scale.most / 2.0, top), scale.most / 2.0);
    let mut text = String::new();
    // write! to a String cannot fail
    let _ = write!(
        text,
        "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{top}\" x2=\"{right}\" y2=\"{top}\"/>\n\
         <line class=\"grid\" x1=\"{LEFT}\" y1=\"{middle}\" x2=\"{right}\" y2=\"{middle}\"/>\n\
         <text class=\"strong\" x=\"20\" y=\"{title_y}\">{title}</text>\n\
         <text class=\"quiet\" x=\"20\" y=\"{gap_y}\">gap {gap:.1} s</text>\n",
        title_y = top + STRIP / 2.0 - 4.0,
        gap_y = top + STRIP / 2.0 + 14.0,
        title = set.title(),
        gap = run.figures.gap,
    );
    for (rate, y) in [(scale.most, top), (half, middle), (0.0, bottom)] {
        let (x, y) = (LEFT - 8.0, y + 4.0);
        let _ = writeln!(text, "<text class=\"quiet\" x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{rate:.0}</text>");
    }
    let (from, to) = (scale.x(run.figures.gap_began), scale.x(run.figures.gap_began + run.figures.gap));
    let _ = writeln!(
        text,
        "<rect class=\"gap\" x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{STRIP}\"/>",
        (to - from).max(1.0)
    );
    let steps = steps(run, scale, top);
    let (first, last) = (scale.x(scale.from), scale.x(moment(run.figures.bins.len())));
    let _ = write!(
        text,
        "<path class=\"area {set}\" d=\"M{first:.1} {bottom}{steps}L{last:.1} {bottom}Z\"/>\n\
         <path class=\"line {set}\" d=\"M{}\"/>\n\
         <line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{bottom}\"/>\n\
         <line class=\"event\" x1=\"{zero:.1}\" y1=\"{above}\" x2=\"{zero:.1}\" y2=\"{bottom}\"/>\n",
        steps.trim_start_matches('L'),
        zero = scale.x(0.0),
        above = top - 6.0,
    );
    text
}

/// A line that stands still for the length of each bin.
fn steps(run: &Run, scale: &Scale, top: f64) -> String {
    let mut text = String::new();
    for (place, bin) in run.figures.bins.iter().enumerate().filter(|(place, _)| moment(*place) < scale.to) {
        let (from, to, y) = (scale.x(moment(place)), scale.x(moment(place + 1)), scale.y(rate(*bin), top));
        let _ = write!(text, "L{from:.1} {y:.1}L{to:.1} {y:.1}");
    }
    text
}

fn seconds(scale: &Scale, bottom: f64) -> String {
    let length = scale.to - scale.from;
    let step = [1.0, 2.0, 5.0, 10.0, 20.0].into_iter().find(|step| length / step <= 16.0).unwrap_or(50.0);
    let mut text = String::new();
    let mut second = (scale.from / step).ceil() * step;
    while second <= scale.to {
        let (x, end, y) = (scale.x(second), bottom + 5.0, bottom + 20.0);
        let _ = write!(
            text,
            "<line class=\"axis\" x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{end}\"/>\n\
             <text class=\"quiet\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{second:.0}</text>\n"
        );
        second += step;
    }
    let (x, y) = (LEFT + (WIDTH - LEFT - RIGHT) / 2.0, bottom + 40.0);
    let (down, middle) = (LEFT - 48.0, TOP + (bottom - TOP) / 2.0);
    text + &format!(
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">seconds since the event</text>\n\
         <text x=\"{down}\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 {down} {middle})\">\
         writes per second</text>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::run;
    use super::*;

    #[test]
    fn there_is_a_strip_for_each_settings_that_was_measured() {
        let runs = vec![run(Event::Kill9, Set::Seed, 1, 15.0), run(Event::Kill9, Set::Fast, 1, 2.0)];
        let svg = svg(&Record { runs, ..Record::default() }, Event::Kill9).expect("a picture");
        for set in ["seed", "fast"] {
            assert_eq!(svg.matches(&format!("class=\"line {set}\"")).count(), 1);
        }
        assert!(!svg.contains("class=\"line tolerant\""));
        assert!(svg.contains(">gap 15.0 s<") && svg.contains(">seconds since the event<"));
        assert!(svg.contains("prefers-color-scheme: dark") && !svg.contains("http:///") && !svg.contains("@import"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn what_was_not_played_has_no_picture() {
        let runs = vec![run(Event::Kill9, Set::Seed, 1, 15.0)];
        assert_eq!(svg(&Record { runs, ..Record::default() }, Event::Switchover), None);
    }

    #[test]
    fn a_repeat_in_which_nothing_was_written_can_be_drawn() {
        let mut empty = run(Event::Kill9, Set::Seed, 1, 0.0);
        empty.figures.bins = Vec::new();
        let svg = svg(&Record { runs: vec![empty], ..Record::default() }, Event::Kill9).expect("a picture");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn both_ends_of_the_axes_lie_within_the_picture() {
        let long = run(Event::Kill9, Set::Seed, 1, 60.0);
        let scale = Scale::of(&[&long]);
        assert!((scale.x(-100.0) - LEFT).abs() < 1e-9 && (scale.x(100.0) - (WIDTH - RIGHT)).abs() < 1e-9);
        assert!((scale.y(0.0, 10.0) - (10.0 + STRIP)).abs() < 1e-9 && (scale.y(1e9, 10.0) - 10.0).abs() < 1e-9);
        assert!((round_up(210.0) - 500.0).abs() < 1e-9 && (round_up(100.0) - 100.0).abs() < 1e-9);
    }
}
