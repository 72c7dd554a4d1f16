//! Tables as `kubectl` prints them: no borders, three spaces between columns, upper-case headings, nothing cut.
//!
//! Widths are measured by `console`, which knows wide characters and colour codes. Deliberately absent: wrapping; a line is one row, so that
//! `grep` and `awk` work.

use console::{Alignment, measure_text_width, pad_str};

/// Rows under headings.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, an empty cell is shown as `-`.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(|cell| one_line(&cell)).collect());
    }

    /// Whether it has rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text, ending in a newline.
    pub(crate) fn render(&self) -> String {
        let headings: Vec<String> = self.headings.iter().map(ToString::to_string).collect();
        let lines = || std::iter::once(&headings).chain(&self.rows);
        let width = |column: usize| {
            lines().filter_map(|row| row.get(column)).map(|cell| measure_text_width(cell)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..headings.len()).map(width).collect();
        lines().fold(String::new(), |mut text, row| {
            let cells: Vec<String> = widths
                .iter()
                .zip(row)
                .map(|(width, cell)| pad_str(cell, *width, Alignment::Left, None).into_owned())
                .collect();
            text.push_str(cells.join("   ").trim_end());
            text.push('\n');
            text
        })
    }
}

/// The first line of a cell, with a mark where there is more.
fn one_line(cell: &str) -> String {
    let mut lines = cell.lines();
    match (lines.next().unwrap_or_default(), lines.next()) {
        ("", _) => "-".to_owned(),
        (line, None) => line.to_owned(),
        (line, Some(_)) => format!("{line} …"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_also_with_colour_and_wide_characters() {
        let mut table = Table::new(&["NAME", "STATE", "AGE"]);
        table.row(vec!["a".into(), console::style("Failed").red().force_styling(true).to_string(), "1s".into()]);
        table.row(vec!["日本".into(), "Compliant".into(), String::new()]);
        let plain = console::strip_ansi_codes(&table.render()).into_owned();
        assert_eq!(plain, "NAME   STATE       AGE\na      Failed      1s\n日本   Compliant   -\n");
    }

    #[test]
    fn a_cell_is_one_line() {
        let mut table = Table::new(&["ERROR"]);
        table.row(vec!["first\nsecond".into()]);
        assert_eq!(table.render(), "ERROR\nfirst …\n");
    }
}
