use proptest::prelude::*;

use super::super::problem::{Problem, Problems};
use super::super::statistics::{self, STATISTICS};
use super::super::written::Written;
use super::{Resolved, resolve};
use crate::aggregate::{Kind, Output, Render, SourceKind, Statistic};
use crate::event::{Field, FieldError, FieldKind};

const HEAD: &str = "version = 1\n[event]\nschema = \"schema.avsc\"\nsource = \"id\"\n[window]\nout_of_order = \"5s\"\n";

/// A stand-in for a schema: a field of each kind.
fn field_at(path: &str) -> Result<Field, FieldError> {
    let kind = match path {
        "id" | "text" | "meta.note" => FieldKind::Text,
        "float" | "meta.reading" | "other.reading" | "a-b" => FieldKind::Float,
        "integer" => FieldKind::Integer,
        "time" => FieldKind::Time,
        "boolean" => FieldKind::Boolean,
        "decimal" => FieldKind::Decimal { scale: 2 },
        "fine" => FieldKind::Decimal { scale: 39 },
        "enum" => FieldKind::Enum { symbols: vec!["RED".to_owned(), "BLUE".to_owned()] },
        "tags" => return Err(FieldError::Unusable { found: "an array".to_owned() }),
        path if path.starts_with("f_") => FieldKind::Float,
        _ => {
            let known = (0..50).map(|number| format!("f_{number}")).collect();
            return Err(FieldError::Unknown { nearest: Some("float".to_owned()), known });
        }
    };
    Ok(Field { kind, nullable: false })
}

fn resolved(text: &str) -> (Resolved, Vec<Problem>) {
    let mut problems = Problems::of("dataflow.toml");
    let written = Written::read(&text.parse().expect("the test's text is TOML"), &mut problems);
    let resolved = resolve(&written, Some(&field_at), &mut problems);
    (resolved, problems.into_list())
}

fn good(rest: &str) -> Resolved {
    let (resolved, problems) = resolved(&format!("{HEAD}{rest}"));
    assert_eq!(problems, []);
    resolved
}

/// The problems of a text after the head, as `key: found`.
fn bad(rest: &str) -> Vec<String> {
    let (_, problems) = resolved(&format!("{HEAD}{rest}"));
    problems.iter().map(|problem| format!("{}: {}", problem.key, problem.found)).collect()
}

fn with_source(source: &str) -> (Resolved, Vec<Problem>) {
    resolved(&HEAD.replace("\"id\"", source))
}

#[test]
fn columns_are_named_after_the_last_part_of_the_path() {
    let resolved = good(
        r#"
        [[measures]]
        field = "meta.reading"
        as = ["avg", "max"]
        names = { max = "peak" }
        [[measures]]
        field = "float"
        name = "f"
        as = ["sum"]
        [[labels]]
        field = "meta.note"
        [[labels]]
        field = "text"
        name = "words"
        pick = "first"
        "#,
    );
    let names: Vec<&str> = resolved.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["reading_avg", "peak", "f_sum", "note", "words"]);
    assert_eq!(resolved.source_name, "id");
    assert_eq!(resolved.outputs[3].statistic, Statistic::Last);
    assert_eq!(resolved.outputs[4].statistic, Statistic::First);
}

#[test]
fn a_field_used_several_times_is_selected_once() {
    let resolved = good(
        r#"
        [[measures]]
        field = "integer"
        as = ["sum"]
        [[measures]]
        field = "decimal"
        as = ["sum"]
        [[measures]]
        field = "integer"
        name = "again"
        as = ["last"]
        [[labels]]
        field = "integer"
        "#,
    );
    assert_eq!(resolved.selection.fields, ["integer", "decimal"]);
    assert_eq!(resolved.inputs, [Kind::Integer, Kind::Decimal { scale: 2 }]);
    let fields: Vec<usize> = resolved.outputs.iter().map(|output| output.field).collect();
    assert_eq!(fields, [0, 1, 0, 0]);
}

#[test]
fn every_statistic_fits_or_is_refused_with_those_that_do() {
    for path in ["float", "integer", "decimal", "time", "boolean", "text", "enum"] {
        let kind = field_at(path).unwrap().kind;
        for (word, statistic) in STATISTICS {
            let rest = format!("[[measures]]\nfield = \"{path}\"\nas = [\"{word}\"]");
            if statistics::allowed(&kind).contains(&statistic) {
                assert_eq!(good(&rest).outputs[0].statistic, statistic);
            } else {
                let found = format!("measures[0].as[0]: {word:?} of {path:?}, which holds {}", statistics::noun(&kind));
                assert_eq!(bad(&rest), [found]);
            }
        }
    }
}

fn render_of(field: &str, rest: &str) -> Render {
    good(&format!("[[labels]]\nfield = \"{field}\"\n{rest}")).outputs.remove(0).render
}

#[test]
fn labels_are_written_as_their_kind_asks() {
    let one = || [(1, "one".to_owned())].into();
    assert_eq!(render_of("text", ""), Render::Plain);
    assert_eq!(render_of("boolean", ""), Render::Boolean);
    assert_eq!(render_of("enum", ""), Render::Symbols(vec!["RED".to_owned(), "BLUE".to_owned()]));
    assert_eq!(render_of("integer", "map = { 1 = \"one\" }"), Render::Map(one()));
    assert_eq!(render_of("integer", "format = \"<{}>\""), Render::Format("<{}>".to_owned()));
    let both = render_of("integer", "map = { 1 = \"one\" }\nformat = \"<{}>\"");
    assert_eq!(both, Render::MapFormat(one(), "<{}>".to_owned()));
    let boolean = [(0, "false".to_owned()), (1, "true".to_owned())].into();
    assert_eq!(render_of("boolean", "format = \"<{}>\""), Render::MapFormat(boolean, "<{}>".to_owned()));
    let colours = [(0, "RED".to_owned()), (1, "BLUE".to_owned())].into();
    assert_eq!(render_of("enum", "format = \"<{}>\""), Render::MapFormat(colours, "<{}>".to_owned()));
}

#[test]
fn first_and_last_of_a_measure_are_written_as_a_label_would_be() {
    let outputs = good("[[measures]]\nfield = \"boolean\"\nas = [\"last\", \"sum\"]").outputs;
    let renders: Vec<&Render> = outputs.iter().map(|Output { render, .. }| render).collect();
    assert_eq!(renders, [&Render::Boolean, &Render::Plain]);
}

#[test]
fn maps_belong_to_integers() {
    for path in ["text", "float", "boolean", "enum", "time", "decimal"] {
        let problems = bad(&format!("[[labels]]\nfield = \"{path}\"\nmap = {{ 1 = \"one\" }}"));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("labels[0].map: a map for"), "{problems:?}");
    }
}

#[test]
fn sources_are_texts_enums_or_integers() {
    assert_eq!(with_source("\"enum\"").0.source, SourceKind::Text);
    assert_eq!(with_source("\"integer\"").0.source, SourceKind::Integer(Render::Plain));
    let (resolved, problems) = with_source("{ field = \"integer\", format = \"s_{}\", name = \"sensor\" }");
    assert_eq!(problems, []);
    assert_eq!(resolved.source, SourceKind::Integer(Render::Format("s_{}".to_owned())));
    assert_eq!((resolved.source_name.as_str(), resolved.selection.source.as_str()), ("sensor", "integer"));
    for path in ["float", "time", "boolean", "decimal", "tags", "missing"] {
        assert_eq!(with_source(&format!("\"{path}\"")).1[0].key, "event.source");
        assert_eq!(with_source(&format!("{{ field = \"{path}\" }}")).1[0].key, "event.source.field");
    }
}

#[test]
fn a_format_needs_an_integer_source() {
    let (_, problems) = with_source("{ field = \"text\", format = \"s_{}\" }");
    assert_eq!((problems.len(), problems[0].key.as_str()), (1, "event.source.format"));
}

#[test]
fn times_are_times_or_integers() {
    for (path, good) in [("time", true), ("integer", true), ("float", false), ("text", false), ("nowhere", false)] {
        let (resolved, problems) = resolved(&HEAD.replace("[window]", &format!("time = \"{path}\"\n[window]")));
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, if good { &[][..] } else { &["event.time"] }, "{path}");
        assert_eq!(resolved.selection.time.as_deref(), Some(path));
    }
}

#[test]
fn unknown_fields_come_with_the_nearest_and_not_too_many_others() {
    let (_, problems) = resolved(&format!("{HEAD}[[labels]]\nfield = \"flaot\""));
    assert_eq!(problems[0].key, "labels[0].field");
    assert_eq!(problems[0].did_you_mean.as_deref(), Some("float"));
    assert!(problems[0].allowed.ends_with("f_39 and 10 more"), "{}", problems[0]);
    assert_eq!(bad("[[labels]]\nfield = \"tags\""), ["labels[0].field: \"tags\", which is an array"]);
}

#[test]
fn a_decimal_that_no_column_holds_is_refused() {
    let problems = bad("[[measures]]\nfield = \"fine\"\nas = [\"sum\"]");
    assert_eq!(problems, ["measures[0].field: \"fine\", a decimal with 39 digits after the point"]);
}

#[test]
fn no_two_columns_have_one_name() {
    let cases = [
        ("[[labels]]\nfield = \"id\"", "labels[0].field: a second column \"id\""),
        ("[[labels]]\nfield = \"text\"\nname = \"window_start\"", "labels[0].name: a second column \"window_start\""),
        ("[[labels]]\nfield = \"text\"\nname = \"count\"", "labels[0].name: a second column \"count\""),
        (
            "[[measures]]\nfield = \"meta.reading\"\nas = [\"sum\"]\n[[measures]]\nfield = \"other.reading\"\nas = [\"sum\"]",
            "measures[1].as[0]: a second column \"reading_sum\"",
        ),
        (
            "[[measures]]\nfield = \"float\"\nas = [\"sum\", \"max\"]\nnames = { max = \"float_sum\" }",
            "measures[0].names.max: a second column \"float_sum\"",
        ),
    ];
    for (rest, problem) in cases {
        assert_eq!(bad(rest), [problem]);
    }
}

#[test]
fn column_names_are_identifiers() {
    let long = "a".repeat(129);
    for name in ["1st", "a b", "größe", "a-b", "a`b", long.as_str()] {
        let problems = bad(&format!("[[labels]]\nfield = \"text\"\nname = \"{name}\""));
        assert_eq!(problems, [format!("labels[0].name: the column name {name:?}")]);
    }
    assert_eq!(bad("[[labels]]\nfield = \"a-b\""), ["labels[0].field: the column name \"a-b\""]);
    good("[[labels]]\nfield = \"a-b\"\nname = \"_a_B2\"");
}

#[test]
fn more_fields_than_a_row_has_bits_are_refused() {
    let measures = |count: usize| -> String {
        (0..count).map(|number| format!("[[measures]]\nfield = \"f_{number}\"\nas = [\"sum\"]\n")).collect()
    };
    assert_eq!(good(&measures(64)).selection.fields.len(), 64);
    assert_eq!(bad(&measures(65)), ["measures: 65 different fields in measures and labels"]);
}

#[test]
fn more_columns_than_are_allowed_are_refused() {
    let labels = |count: usize| -> String {
        (0..count).map(|number| format!("[[labels]]\nfield = \"text\"\nname = \"c_{number}\"\n")).collect()
    };
    assert_eq!(good(&labels(512)).outputs.len(), 512);
    assert_eq!(bad(&labels(513)), ["measures: 513 columns"]);
}

#[test]
fn without_a_schema_names_are_still_checked() {
    let mut problems = Problems::of("dataflow.toml");
    let text = format!("{HEAD}[[labels]]\nfield = \"nowhere\"\n[[labels]]\nfield = \"a.nowhere\"");
    let written = Written::read(&text.parse().unwrap(), &mut problems);
    resolve(&written, None, &mut problems);
    let keys: Vec<String> = problems.into_list().into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["labels[1].field"]);
}

proptest! {
    /// What comes without a problem is whole: every column has an input of its own kind, no name twice.
    #[test]
    fn what_is_accepted_fits_together(
        picks in prop::collection::vec((0..9_usize, 0..8_usize, prop::option::of("[a-d_1]{0,3}")), 0..12)
    ) {
        let paths = ["float", "integer", "decimal", "time", "boolean", "text", "enum", "tags", "missing"];
        let mut text = HEAD.to_owned();
        for (path, statistic, name) in picks {
            let name = name.map_or(String::new(), |name| format!("name = \"{name}\"\n"));
            let word = STATISTICS[statistic].0;
            text += &format!("[[measures]]\nfield = \"{}\"\nas = [\"{word}\"]\n{name}", paths[path]);
        }
        let (resolved, problems) = resolved(&text);
        if problems.is_empty() {
            let names: std::collections::BTreeSet<&str> = resolved.outputs.iter().map(|output| output.name.as_str()).collect();
            prop_assert_eq!(names.len(), resolved.outputs.len());
            prop_assert_eq!(resolved.inputs.len(), resolved.selection.fields.len());
            for output in &resolved.outputs {
                let kind = field_at(&resolved.selection.fields[output.field]).unwrap().kind;
                prop_assert!(statistics::allowed(&kind).contains(&output.statistic));
            }
        }
    }
}
