//! As much of protoc as prost-build asks for: `-I DIR`, `-o FILE`, the two flags about what the answer includes, and the files.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut includes, mut files, mut out) = (Vec::new(), Vec::new(), None);
    let (mut imports, mut source_info) = (false, false);
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = |flag: &str| match word.strip_prefix(flag) {
            Some("") => words.next().map(PathBuf::from),
            Some(rest) => Some(PathBuf::from(rest)),
            None => None,
        };
        if let Some(folder) = value("-I") {
            includes.push(folder);
        } else if let Some(file) = value("-o") {
            out = Some(file);
        } else if word == "--include_imports" {
            imports = true;
        } else if word == "--include_source_info" {
            source_info = true;
        } else if word.starts_with('-') {
            return Err(format!("{word} is not known here: install protoc, and name it in PROTOC").into());
        } else {
            files.push(PathBuf::from(word));
        }
    }
    let out = out.ok_or("-o FILE is missing")?;
    let mut compiler = protox::Compiler::new(includes)?;
    compiler.include_imports(imports).include_source_info(source_info).open_files(files)?;
    fs::write(out, compiler.encode_file_descriptor_set())?;
    Ok(())
}
