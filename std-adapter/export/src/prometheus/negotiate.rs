//! Chooses the format for a scraper: the best one that it accepts.

/// A format of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus's text format, version 0.0.4.
    Text,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
    /// `io.prometheus.client.MetricFamily` messages, each with its length before it; histograms are native ones.
    Protobuf,
}

impl Format {
    /// The order of preference among formats that are accepted equally.
    const PREFERRED: [Format; 3] = [Format::Protobuf, Format::OpenMetrics, Format::Text];

    /// Its `Content-Type`. Names are without characters of UTF-8.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The best format for an `Accept` header. A scraper that accepts none of these gets the text format, as
    /// in Prometheus's client libraries.
    pub fn accepted(accept: &str) -> Format {
        Shape::of(accept).format
    }

    /// Whether the format has this parameter of a media range.
    fn has(self, name: &str, value: &str) -> bool {
        match (self, name) {
            // Version 1.0.0 only adds quoted names.
            (Format::Text, "version") => value == "0.0.4" || value == "1.0.0",
            (Format::OpenMetrics, "version") => value == "1.0.0",
            (Format::Protobuf, "proto") => value == "io.prometheus.client.MetricFamily",
            (Format::Protobuf, "encoding") => value == "delimited",
            (Format::Text | Format::OpenMetrics, "charset") => value.eq_ignore_ascii_case("utf-8"),
            // A page says which scheme it has, so that any may be asked for.
            (_, "escaping") => true,
            _ => false,
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain",
            Format::OpenMetrics => "application/openmetrics-text",
            Format::Protobuf => "application/vnd.google.protobuf",
        }
    }
}

/// What a page looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) format: Format,
    /// Whether names may have any characters (`escaping=allow-utf-8`).
    pub(super) utf8: bool,
}

impl Shape {
    pub(super) fn of(accept: &str) -> Shape {
        let ranges: Vec<Range<'_>> = accept.split(',').filter_map(Range::parse).collect();
        let mut best = (Shape { format: Format::Text, utf8: false }, 0);
        for format in Format::PREFERRED {
            // The most specific range that names a format decides about it; of several, the best.
            let of_range = |range| Some((Range::specificity(range, format)?, range.quality, range));
            let deciding = ranges.iter().filter_map(of_range).max_by_key(|(specific, q, _)| (*specific, *q));
            if let Some((_, quality, range)) = deciding
                && quality > best.1
            {
                let utf8 = range.parameters.contains(&("escaping", "allow-utf-8"));
                best = (Shape { format, utf8 }, quality);
            }
        }
        best.0
    }

    /// The `Content-Type` of such a page.
    pub(super) const fn content_type(self) -> &'static str {
        match self.format {
            format if !self.utf8 => format.content_type(),
            Format::Text => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            Format::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8"
            }
        }
    }
}

/// One media range of an `Accept` header.
struct Range<'a> {
    media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Range<'a>> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().filter(|media_type| !media_type.is_empty())?;
        let mut range = Range { media_type, parameters: Vec::new(), quality: 1000 };
        for part in parts {
            let (name, value) = part.split_once('=')?;
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("q") {
                range.quality = quality(value);
            } else {
                range.parameters.push((name, value));
            }
        }
        Some(range)
    }

    /// How specifically it names a format; `None` if it does not.
    fn specificity(&self, format: Format) -> Option<usize> {
        let wanted = format.media_type();
        if self.media_type.eq_ignore_ascii_case(wanted) {
            let all = self.parameters.iter().all(|(name, value)| format.has(name, value));
            return all.then_some(2 + self.parameters.len());
        }
        // A client that accepts anything is a person, who reads text.
        match self.media_type {
            "*/*" if format == Format::Text => Some(0),
            "text/*" if format == Format::Text => Some(1),
            _ => None,
        }
    }
}

/// A quality from 0 to 1, in thousandths; 0 for an invalid one.
fn quality(text: &str) -> u16 {
    text.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).map_or(0, |q| (q * 1000.0) as u16)
}

/// Whether an `Accept-Encoding` header takes gzip.
#[cfg(feature = "gzip")]
pub(super) fn accepts_gzip(accept_encoding: &str) -> bool {
    let of = |wanted: &str| {
        accept_encoding.split(',').find_map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next().filter(|name| name.eq_ignore_ascii_case(wanted))?;
            Some(parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, quality))
        })
    };
    of("gzip").or_else(|| of("*")).is_some_and(|q| q > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_format_that_is_accepted() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let cases = [
            ("", Format::Text),
            ("text/html, image/png", Format::Text),
            ("text/plain", Format::Text),
            ("*/*", Format::Text),
            ("application/vnd.google.protobuf", Format::Protobuf),
            ("application/vnd.google.protobuf;proto=x;encoding=delimited,text/plain;q=0.1", Format::Text),
            ("application/vnd.google.protobuf;encoding=text,text/plain;q=0.1", Format::Text),
            (native, Format::Protobuf),
            ("text/*;q=0.5, application/openmetrics-text;q=0.4", Format::Text),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", Format::OpenMetrics),
            ("application/openmetrics-text;version=0.0.1, text/plain;q=0.2", Format::Text),
            ("APPLICATION/OpenMetrics-Text;Q=0.9,text/plain;q=0.8", Format::OpenMetrics),
            ("application/openmetrics-text;q=0, */*", Format::Text),
            ("application/openmetrics-text;q=x, text/plain;q=0.001", Format::Text),
            (prometheus_2, Format::OpenMetrics),
            (prometheus_3, Format::OpenMetrics),
        ];
        for (accept, format) in cases {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }

    #[test]
    fn names_in_utf8_are_for_who_allows_them() {
        let cases = [
            ("text/plain;version=1.0.0;escaping=allow-utf-8", Format::Text, true),
            ("text/plain;version=0.0.4;escaping=allow-utf-8", Format::Text, true),
            ("text/plain;version=1.0.0;escaping=underscores", Format::Text, false),
            ("text/plain;version=1.0.0;escaping=dots, text/plain;version=0.0.4;q=0.5", Format::Text, false),
            ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8", Format::OpenMetrics, true),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3",
                Format::OpenMetrics,
                true,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8,*/*;q=0.2",
                Format::Protobuf,
                true,
            ),
            ("*/*;escaping=allow-utf-8;q=0.2", Format::Text, true),
            ("", Format::Text, false),
        ];
        for (accept, format, utf8) in cases {
            assert_eq!(Shape::of(accept), Shape { format, utf8 }, "{accept}");
        }
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn gzip_is_taken_where_it_is_not_refused() {
        let cases = [
            ("", false),
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("*", true),
            ("gzip;q=0, *", false),
            ("identity", false),
        ];
        for (accept, taken) in cases {
            assert_eq!(accepts_gzip(accept), taken, "{accept}");
        }
    }
}
