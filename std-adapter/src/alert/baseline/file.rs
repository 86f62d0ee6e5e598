//! The file of baselines, beside the state file. It is written once in a quarter of an hour, when each series has a new value.
//!
//! It is binary, with little-endian numbers. A line that names the format is followed by the series: the length of the expression (4 bytes) and its text,
//! the number of labels (4 bytes) and for each the lengths and texts of name and value, the quarter (8 bytes), the values and the levels (4 bytes each). A
//! hash of everything before is at the end (8 bytes).

use super::super::Labels;
use super::{Baseline, Baselines, DAY, KEPT};
use crate::outgoing::state_file::{hash, write};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FORMAT: &[u8] = b"throughline baselines 1\n";
/// Longest file that is read.
const MOST_BYTES: u64 = 64 << 20;

/// The file beside this state file.
pub(in super::super) fn beside(state_file: &Path) -> PathBuf {
    let mut path = state_file.as_os_str().to_owned();
    path.push(".baselines");
    path.into()
}

impl Baselines {
    /// Writes the file if it lacks something. If that fails, it is tried again when it lacks more.
    pub(in super::super) fn save(&mut self, path: &Path) -> io::Result<()> {
        match std::mem::take(&mut self.is_new) {
            true => write(path, &self.bytes()),
            false => Ok(()),
        }
    }

    /// Takes over what the file keeps. A file that is not there is no problem. The error says what is wrong.
    pub(in super::super) fn load(&mut self, path: &Path) -> Result<(), String> {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("cannot be read: {error}")),
        }
        let Some(rest) = bytes.strip_prefix(FORMAT) else {
            return Err("is no file of baselines of this version".into());
        };
        let Some((series, end)) = rest.split_last_chunk::<8>() else { return Err("was cut off".into()) };
        if u64::from_le_bytes(*end) != hash(&bytes[..FORMAT.len() + series.len()]) {
            return Err("is damaged: its contents do not fit its last bytes".into());
        }
        let mut left = Left(series);
        while !left.0.is_empty() {
            let (of, labels, baseline) = left.series().ok_or("is damaged: a series has no end")?;
            self.all.entry(of).or_default().insert(labels, baseline);
        }
        Ok(())
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = FORMAT.to_vec();
        let number =
            |out: &mut Vec<u8>, n: usize| out.extend(u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
        let text = |out: &mut Vec<u8>, text: &str| {
            number(out, text.len());
            out.extend(text.as_bytes());
        };
        for (of, series) in &self.all {
            for (labels, baseline) in series {
                text(&mut out, of);
                number(&mut out, labels.iter().len());
                for (name, value) in labels.iter() {
                    text(&mut out, name);
                    text(&mut out, value);
                }
                out.extend(baseline.quarter.to_le_bytes());
                out.extend(
                    baseline.values.iter().chain(&baseline.levels).flat_map(|value| value.to_le_bytes()),
                );
            }
        }
        let hash = hash(&out);
        out.extend(hash.to_le_bytes());
        out
    }
}

/// The bytes that have not been read.
struct Left<'b>(&'b [u8]);

impl<'b> Left<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, left) = self.0.split_at_checked(length)?;
        self.0 = left;
        Some(taken)
    }

    fn number(&mut self) -> Option<usize> {
        let bytes = self.take(4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = self.number()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn values(&mut self, number: i64) -> Option<Box<[f32]>> {
        let bytes = self.take(4 * number as usize)?.chunks_exact(4);
        Some(bytes.map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect())
    }

    fn series(&mut self) -> Option<(Arc<str>, Labels, Baseline)> {
        let of = self.text()?.into();
        let mut labels = Vec::new();
        for _ in 0..self.number()? {
            labels.push((self.text()?, self.text()?));
        }
        let quarter = i64::from_le_bytes(self.take(8)?.try_into().ok()?);
        let (values, levels) = (self.values(KEPT)?, self.values(DAY)?);
        let mut baseline = Baseline { values, levels, quarter, usual: None };
        baseline.find();
        Some((of, Labels::new(labels).without_version(), baseline))
    }
}

#[cfg(test)]
mod tests {
    use super::super::QUARTER;
    use super::*;

    #[test]
    fn a_file_comes_back_as_it_was_and_a_torn_one_is_told() {
        let path = std::env::temp_dir().join(format!("throughline-baselines-{}", std::process::id()));
        let of: Arc<str> = "rate(x[5m])".into();
        let mut first = Baselines::default();
        for quarter in 0..4 * 96 {
            for route in ["/a", "/b\t\n"] {
                let labels = Labels::new([("route", route)]);
                first.learn(&of, &labels, quarter * QUARTER, quarter as f64);
            }
        }
        first.save(&path).unwrap();
        assert!(!first.is_new);
        let mut second = Baselines::default();
        second.load(&path).unwrap();
        // NaN is not equal to itself.
        assert_eq!(format!("{:?}", sorted(&second)), format!("{:?}", sorted(&first)));
        let whole = std::fs::read(&path).unwrap();
        for (bytes, expected) in [
            (&whole[..whole.len() - 3], "is damaged"),
            (&whole[..FORMAT.len() + 3], "was cut off"),
            (b"{}", "is no file of baselines"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert!(Baselines::default().load(&path).unwrap_err().contains(expected));
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Baselines::default().load(&path), Ok(()));
    }

    fn sorted(baselines: &Baselines) -> Vec<(&Labels, &Baseline)> {
        let mut all: Vec<_> = baselines.all.values().flatten().collect();
        all.sort_by(|a, b| a.0.cmp(b.0));
        all
    }
}
