//! Draws the timeline as a Gantt chart in SVG. It has a background, so that it is readable on light
//! and dark pages, and embeds no font.

use super::{Row, Timeline, time};
use svg::Document;
use svg::node::element::{Circle, Group, Line, Rectangle, Style, Text, Title};

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 24.0;
const TOP: f64 = 84.0;
const ROW: f64 = 28.0;
const BAR: f64 = 14.0;
/// Space for the axis and the legend below the rows.
const BOTTOM: f64 = 72.0;
/// Space right of the bars for the time labels.
const RIGHT: f64 = 76.0;
/// Estimated widths of a character, sufficient for the fonts of the style.
const NAME_CHAR: f64 = 7.3;
const SMALL_CHAR: f64 = 5.9;
/// Longer names are shortened to this number of characters.
const MAX_NAME: usize = 34;

/// The phases with their own colour, and their classes in [`STYLE`].
const PHASES: [(&str, &str); 5] = [
    ("Infrastructure", "infrastructure"),
    ("ControlPlane", "control-plane"),
    ("Controller", "controller"),
    ("NodeAgent", "node-agent"),
    ("Addon", "addon"),
];
/// The class of the host's own steps.
const HOST: &str = "host";

const STYLE: &str = "
text { font-family: system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif; font-size: 13px; fill: #1f2937 }
.title { font-size: 18px; font-weight: 600 }
.muted, .tick { fill: #64748b; font-size: 11px }
.total { fill: #15803d; font-size: 12px; font-weight: 600 }
.card { fill: #ffffff; stroke: #d7dee8 }
.stripe { fill: #f5f7fa }
.grid { stroke: #e2e8f0; stroke-width: 1 }
.end { stroke: #16a34a; stroke-width: 1.5; stroke-dasharray: 4 3 }
.role { stroke: #ffffff; stroke-width: 2; opacity: .85 }
.wait { opacity: .2 }
.failed { fill: #dc2626 }
.mark { stroke: #ffffff; stroke-width: 2 }
.host { fill: #64748b }
.infrastructure { fill: #8b5cf6 }
.control-plane { fill: #2563eb }
.controller { fill: #0d9488 }
.node-agent { fill: #ea580c }
.addon { fill: #db2777 }
@media (prefers-color-scheme: dark) {
text { fill: #e5e7eb }
.muted, .tick { fill: #94a3b8 }
.total { fill: #4ade80 }
.card { fill: #0f172a; stroke: #334155 }
.stripe { fill: #162036 }
.grid { stroke: #28344a }
.end { stroke: #4ade80 }
.role, .mark { stroke: #0f172a }
.wait { opacity: .3 }
.host { fill: #94a3b8 }
.infrastructure { fill: #a78bfa }
.control-plane { fill: #60a5fa }
.controller { fill: #2dd4bf }
.node-agent { fill: #fb923c }
.addon { fill: #f472b6 }
}
";

/// Maps times to horizontal positions.
struct Scale {
    left: f64,
    width: f64,
    end: f64,
}

impl Scale {
    fn x(&self, ms: u64) -> f64 {
        // Tenths of a pixel are precise enough and keep the file small.
        ((self.left + ms as f64 / self.end * self.width) * 10.0).round() / 10.0
    }
}

impl Timeline {
    /// A Gantt chart as an SVG document. The light part of a bar is waiting, the full part is
    /// starting, and a dot marks the time when the instance was ready. A notch marks the time when
    /// a role was ready.
    pub fn svg(&self, title: &str) -> String {
        let names = self.rows.iter().map(|row| shorten(&row.instance).chars().count()).max().unwrap_or(0);
        let left = MARGIN + (names as f64 * NAME_CHAR).max(80.0) + 14.0;
        let scale = Scale { left, width: WIDTH - left - RIGHT, end: self.end_ms() as f64 };
        let bottom = TOP + self.rows.len() as f64 * ROW;
        let height = bottom + BOTTOM;

        let mut picture = Document::new()
            .set("viewBox", (0, 0, WIDTH as u32, height as u32))
            .set("width", WIDTH as u32)
            .set("height", height as u32)
            .set("role", "img")
            .add(Title::new(printable(title)))
            .add(Style::new(STYLE))
            .add(
                Rectangle::new()
                    .set("class", "card")
                    .set("x", 0.5)
                    .set("y", 0.5)
                    .set("width", WIDTH - 1.0)
                    .set("height", height - 1.0)
                    .set("rx", 10),
            )
            .add(text(title, "title", MARGIN, 36.0))
            .add(text(&self.subtitle(), "muted", MARGIN, 56.0));
        for index in (1..self.rows.len()).step_by(2) {
            picture =
                picture.add(rectangle("stripe", MARGIN / 2.0, WIDTH - MARGIN / 2.0, TOP + index as f64 * ROW, ROW));
        }
        picture = picture.add(axis(&scale, bottom));
        if let Some(total) = self.total_ms {
            let x = scale.x(total);
            picture = picture
                .add(line("end", x, TOP - 8.0, x, bottom + 6.0))
                .add(text(&format!("ready {}", time(total)), "total", x, TOP - 14.0).set("text-anchor", "middle"));
        }
        for (index, row) in self.rows.iter().enumerate() {
            picture = picture.add(bar(row, &scale, self.total_ms, TOP + index as f64 * ROW));
        }
        picture.add(self.legend(bottom + 50.0)).to_string()
    }

    fn subtitle(&self) -> String {
        let outcome = match (self.total_ms, &self.error) {
            (Some(total), _) => format!("ready after {}", time(total)),
            (None, Some(_)) => "the boot failed".to_owned(),
            (None, None) => "the boot is still running".to_owned(),
        };
        format!("{outcome} · cluster {} · KuberNix {}", self.cluster, self.version)
    }

    fn legend(&self, y: f64) -> Group {
        let mut group = Group::new();
        let mut x = MARGIN;
        let mut entry = |group: Group, class: &str, label: &str| {
            let at = x;
            x += 18.0 + label.chars().count() as f64 * SMALL_CHAR + 18.0;
            group.add(rectangle(class, at, at + 12.0, y - 9.5, 12.0).set("rx", 3)).add(text(
                label,
                "muted",
                at + 18.0,
                y,
            ))
        };
        if self.rows.iter().any(|row| class(&row.phase) == HOST) {
            group = entry(group, HOST, "host");
        }
        for (phase, class) in PHASES {
            if self.rows.iter().any(|row| row.phase == phase) {
                group = entry(group, class, phase);
            }
        }
        let hint = "light: waiting · full: starting · dot: ready · notch: a role is ready";
        group.add(text(hint, "muted", WIDTH - MARGIN, y).set("text-anchor", "end"))
    }
}

/// The axis below the rows, with a grid line at each tick.
fn axis(scale: &Scale, bottom: f64) -> Group {
    let step = tick_step(scale.end as u64);
    (0..=scale.end as u64 / step).fold(Group::new(), |group, tick| {
        let ms = tick * step;
        let x = scale.x(ms);
        let label = if ms == 0 { "0".to_owned() } else { tick_label(ms, step) };
        group
            .add(line("grid", x, TOP, x, bottom + 6.0))
            .add(text(&label, "tick", x, bottom + 20.0).set("text-anchor", "middle"))
    })
}

/// The distance of ticks in milliseconds: 1, 2 or 5 times a power of ten, so that there are at most
/// ten.
fn tick_step(end: u64) -> u64 {
    let powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
    powers
        .flat_map(|power| [1, 2, 5].map(|n| power.saturating_mul(n)))
        .find(|step| end / step <= 10)
        .unwrap_or(u64::MAX)
}

fn tick_label(ms: u64, step: u64) -> String {
    if step < 100 {
        return format!("{ms} ms");
    }
    if step < 1000 { format!("{}.{} s", ms / 1000, ms % 1000 / 100) } else { format!("{} s", ms / 1000) }
}

fn bar(row: &Row, scale: &Scale, total: Option<u64>, top: f64) -> Group {
    let class = class(&row.phase);
    let (y, baseline) = (top + (ROW - BAR) / 2.0, top + ROW / 2.0 + 4.5);
    let origin = scale.x(0);
    let started = scale.x(row.waited_ms.unwrap_or(scale.end as u64));
    let mut group = Group::new()
        .add(Title::new(printable(&details(row))))
        .add(text(&shorten(&row.instance), "", scale.left - 14.0, baseline).set("text-anchor", "end"));
    if started > origin {
        group = group.add(rectangle(&format!("{class} wait"), origin, started, y, BAR).set("rx", 3));
        let roles = row.waits_for.join(", ");
        let fits = |label: &String| label.chars().count() as f64 * SMALL_CHAR + 12.0 < started - origin;
        // A short bar has the roles only.
        if !roles.is_empty()
            && let Some(label) = [format!("waits for {roles}"), roles].into_iter().find(fits)
        {
            group = group.add(text(&label, "muted", origin + 6.0, baseline - 0.5));
        }
    }
    if row.waited_ms.is_none() {
        return group;
    }
    let ready = scale.x(row.ready_ms.unwrap_or(scale.end as u64));
    // A bar is visible even if the instance was ready at once.
    let until = ready.max(started + 2.0);
    group = group.add(rectangle(class, started, until, y, BAR).set("rx", 3));
    for role in row.roles.iter().filter(|role| row.ready_ms.is_none_or(|ready| role.ready_ms < ready)) {
        let x = scale.x(role.ready_ms);
        if x > started + 3.0 && x < until - 8.0 {
            group = group.add(line("role", x, y, x, y + BAR));
        }
    }
    match (row.ready_ms, &row.error) {
        (Some(ms), _) => {
            let dot = Circle::new().set("class", format!("{class} mark")).set("cx", until);
            let label = time(ms);
            let mut at = until + 11.0;
            // A label that would cross the line at the end of the boot is placed behind it.
            let end = total.map_or(f64::INFINITY, |total| scale.x(total));
            if at < end + 6.0 && at + label.len() as f64 * SMALL_CHAR > end - 3.0 {
                at = at.max(end + 8.0);
            }
            group.add(dot.set("cy", top + ROW / 2.0).set("r", 6)).add(text(&label, "muted", at, baseline - 0.5))
        }
        (None, Some(_)) => group.add(text("failed", "muted failed", until + 8.0, baseline - 0.5)),
        (None, None) => group,
    }
}

/// The tool tip of a row.
fn details(row: &Row) -> String {
    let mut details = row.instance.clone();
    for (label, ms) in [("waited", row.waited_ms), ("starting", row.starting_ms), ("ready at", row.ready_ms)] {
        if let Some(ms) = ms {
            details.push_str(&format!("\n{label} {}", time(ms)));
        }
    }
    for role in &row.roles {
        details.push_str(&format!("\n{} ready at {}", role.role, time(role.ready_ms)));
    }
    details
}

fn class(phase: &str) -> &'static str {
    PHASES.iter().find(|(known, _)| *known == phase).map_or(HOST, |(_, class)| class)
}

fn rectangle(class: &str, from: f64, to: f64, y: f64, height: f64) -> Rectangle {
    let width = ((to - from) * 10.0).round() / 10.0;
    Rectangle::new().set("class", class).set("x", from).set("y", y).set("width", width).set("height", height)
}

fn line(class: &str, x1: f64, y1: f64, x2: f64, y2: f64) -> Line {
    Line::new().set("class", class).set("x1", x1).set("y1", y1).set("x2", x2).set("y2", y2)
}

/// A text element. The `svg` crate escapes text, but not quotes in attributes, so names must not be
/// used in attributes.
fn text(content: &str, class: &str, x: f64, y: f64) -> Text {
    let text = Text::new(printable(content)).set("x", x).set("y", y);
    if class.is_empty() { text } else { text.set("class", class) }
}

fn shorten(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// Replaces control characters, which XML can't represent.
fn printable(text: &str) -> String {
    let fits = |c: char| c == '\n' || !(c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'));
    text.chars().map(|c| if fits(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::RECORDED;
    use super::*;
    use crate::events::{Record, records};

    fn recorded() -> Timeline {
        Timeline::of(&records(RECORDED.as_bytes()).collect::<Vec<Record>>()).unwrap()
    }

    #[test]
    fn names_are_escaped_and_control_characters_replaced() {
        let mut timeline = recorded();
        timeline.rows[0].instance = "<b>&\"a\"\u{1b}".into();
        let picture = timeline.svg("</svg><script>");
        assert!(picture.contains("&lt;b&gt;&amp;") && picture.contains("&lt;/svg&gt;&lt;script&gt;"));
        assert!(!picture.contains("<b>") && !picture.contains("<script>") && !picture.contains('\u{1b}'));
        assert!(svg::read(&picture).unwrap().all(|event| !matches!(event, svg::parser::Event::Error(_))));
    }

    #[test]
    fn every_instance_is_drawn_and_every_ready_one_is_marked() {
        let timeline = recorded();
        let picture = timeline.svg("a boot");
        for row in &timeline.rows {
            assert!(picture.lines().any(|line| line == row.instance), "{picture}");
        }
        assert_eq!(picture.matches("<circle").count(), timeline.rows.len());
        assert!(picture.contains("ready 3.18 s") && picture.contains("waits for apiserver-port"));
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!([1, 10, 3180, 45_000, u64::MAX].map(tick_step)[..4], [1, 1, 500, 5000]);
        assert_eq!([tick_label(500, 500), tick_label(4000, 2000), tick_label(40, 20)], ["0.5 s", "4 s", "40 ms"]);
        assert!(u64::MAX / tick_step(u64::MAX) <= 10);
    }
}
