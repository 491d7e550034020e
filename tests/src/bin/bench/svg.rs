//! Curves as SVG: axes, lines, points, and a legend. No more than a reader of a page needs.

use std::fmt::Write;

/// One line of a drawing: its name, and its points from left to right.
pub(crate) type Line = (String, Vec<(f64, f64)>);

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;
const COLOURS: [&str; 6] = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a"];

/// A drawing of some lines. The places on the x axis are those of the points, evenly spread, for they
/// are often percentiles or powers; the y axis begins at zero.
pub(crate) fn draw(title: &str, x: &str, y: &str, lines: &[Line]) -> String {
    let mut places: Vec<f64> = lines.iter().flat_map(|(_, points)| points.iter().map(|p| p.0)).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let top = lines.iter().flat_map(|(_, points)| points.iter().map(|p| p.1)).fold(0.0, f64::max);
    let top = round_up(top);
    let step = (WIDTH - LEFT - RIGHT) / places.len().max(1) as f64;
    let across = |value: f64| {
        let at = places.iter().position(|place| *place == value).unwrap_or_default();
        step.mul_add(at as f64 + 0.5, LEFT)
    };
    let up = |value: f64| (value / top).mul_add(-(HEIGHT - TOP - BOTTOM), HEIGHT - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{}</text>\n",
        escaped(title)
    );
    let mut text = |at: (f64, f64), anchor: &str, colour: &str, text: &str| {
        let text = escaped(text);
        let (x, y) = at;
        writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
        )
        .unwrap();
    };
    for part in 0..=4 {
        let value = top * f64::from(part) / 4.0;
        text((LEFT - 8.0, up(value) + 4.0), "end", "#333", &shown(value));
    }
    for place in &places {
        text((across(*place), HEIGHT - BOTTOM + 18.0), "middle", "#333", &shown(*place));
    }
    text((WIDTH - RIGHT, HEIGHT - BOTTOM + 36.0), "end", "#333", x);
    text((LEFT, TOP - 6.0), "start", "#333", y);
    for (i, (name, _)) in lines.iter().enumerate() {
        let at = 140.0f64.mul_add(i as f64, LEFT);
        text((at, HEIGHT - 8.0), "start", COLOURS[i % COLOURS.len()], &format!("● {name}"));
    }
    for part in 0..=4 {
        let y = up(top * f64::from(part) / 4.0);
        let x2 = WIDTH - RIGHT;
        writeln!(svg, "<line x1=\"{LEFT}\" x2=\"{x2}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>")
            .unwrap();
    }
    for (i, (_, points)) in lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let places: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
        let line = places.join(" ");
        writeln!(svg, "<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>")
            .unwrap();
        for (x, y) in points {
            let (x, y) = (across(*x), up(*y));
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>").unwrap();
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The next number that is 1, 2, 4 or 8 of its power of ten, so that quarters of it are short.
fn round_up(value: f64) -> f64 {
    let power = 10.0f64.powf(value.max(1e-9).log10().floor());
    let factor = [1.0, 2.0, 4.0, 8.0, 10.0].into_iter().find(|factor| factor * power >= value);
    factor.unwrap_or(10.0) * power
}

fn shown(value: f64) -> String {
    match value {
        v if v >= 1_000_000.0 => format!("{:.1}M", v / 1_000_000.0),
        v if v >= 10_000.0 => format!("{:.0}k", v / 1_000.0),
        v if v == v.trunc() => format!("{v:.0}"),
        v => format!("{v:.2}").trim_end_matches('0').to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_lies_within_the_drawing() {
        let lines = [
            ("a < b".to_owned(), vec![(50.0, 1.2), (99.0, 7.5)]),
            ("c".to_owned(), vec![(50.0, 0.0), (99.9, 3.0)]),
        ];
        let svg = draw("Lag & more", "percentile", "ms", &lines);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(svg.contains("Lag &amp; more") && svg.contains("a &lt; b"), "{svg}");
        assert_eq!((svg.matches("<circle").count(), svg.matches("<polyline").count()), (4, 2));
        for circle in svg.lines().filter(|line| line.starts_with("<circle")) {
            let number = |name: &str| {
                let rest = circle.split_once(name).unwrap().1;
                rest.split('"').nth(1).unwrap().parse::<f64>().unwrap()
            };
            assert!((LEFT..WIDTH).contains(&number("cx")), "{circle}");
            assert!((TOP..HEIGHT).contains(&number("cy")), "{circle}");
        }
        assert_eq!([0.3, 1.0, 7.5, 81.0].map(round_up), [0.4, 1.0, 8.0, 100.0]);
    }
}
