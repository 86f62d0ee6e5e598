//! Reads the figures that criterion leaves on disk.
//!
//! Criterion writes `estimates.json` and `sample.json` of each benchmark below `<dir>/<group>/<id>/new/`. It
//! has no function that returns them.

use std::{
    error, fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};

/// The measurement of one criterion benchmark, in nanoseconds per iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimates {
    /// Median over the samples.
    pub median: f64,
    /// The smallest sample.
    pub min: f64,
}

/// Reads the newest figures of the benchmark whose directory is `dir` (`…/<group>/<id>`).
///
/// # Errors
/// When a file is absent or not in criterion 0.8's format; the message names the file.
pub fn read(dir: &Path) -> Result<Estimates, ReadError> {
    let medians: EstimatesFile = load(&dir.join("new/estimates.json"))?;
    let sample: SampleFile = load(&dir.join("new/sample.json"))?;
    let min = sample
        .times
        .iter()
        .zip(&sample.iters)
        .map(|(time, iters)| time / iters)
        .fold(f64::INFINITY, f64::min);
    Ok(Estimates { median: medians.median.point_estimate, min })
}

/// Why a figure could not be read.
#[derive(Debug)]
pub struct ReadError {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}: did the benchmark run to its end with criterion 0.8?", self.path.display())
    }
}

impl error::Error for ReadError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ReadError> {
    fs::read(path)
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from))
        .map_err(|source| ReadError { path: path.to_owned(), source })
}

#[derive(Deserialize)]
struct EstimatesFile {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

#[derive(Deserialize)]
struct SampleFile {
    iters: Vec<f64>,
    times: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    #[test]
    fn reads_the_median_and_the_least_sample() {
        let dir = env::temp_dir().join(format!("throughline-estimates-{}", process::id()));
        fs::create_dir_all(dir.join("new")).expect("temporary directory");
        fs::write(
            dir.join("new/estimates.json"),
            r#"{"mean":{"point_estimate":9.0},"median":{"point_estimate":2.5}}"#,
        )
        .expect("written");
        fs::write(
            dir.join("new/sample.json"),
            r#"{"sampling_mode":"Flat","iters":[10.0,10.0],"times":[30.0,20.0]}"#,
        )
        .expect("written");
        assert_eq!(read(&dir).expect("readable"), Estimates { median: 2.5, min: 2.0 });
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn an_absent_file_is_named() {
        let error = read(Path::new("nowhere")).expect_err("absent");
        assert_eq!(
            error.to_string(),
            "cannot read nowhere/new/estimates.json: did the benchmark run to its end with criterion 0.8?"
        );
    }
}
