//! The engine's C interface, as far as the front needs it: `libchdb.so`, opened while the program runs. All `unsafe` is here.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;

use libloading::Library;

/// A session of the engine: C code hands out a pointer to where its pointer lies.
type Session = *mut *mut c_void;
type Handle = *mut c_void;

type Names = *const *const c_char;
type Lengths = *const usize;

/// The functions of the library, by their names in its header `chdb.h`.
pub(crate) struct Functions {
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> Session,
    close: unsafe extern "C" fn(Session),
    query: unsafe extern "C" fn(
        Handle,
        *const c_char,
        usize,
        *const c_char,
        usize,
        Names,
        Lengths,
        Names,
        Lengths,
        usize,
    ) -> Handle,
    result_free: unsafe extern "C" fn(Handle),
    result_error: unsafe extern "C" fn(Handle) -> *const c_char,
    result_bytes: unsafe extern "C" fn(Handle) -> *const c_char,
    result_length: unsafe extern "C" fn(Handle) -> usize,
    counts: [unsafe extern "C" fn(Handle) -> u64; 4],
    insert_open: unsafe extern "C" fn(Handle, *const c_char, usize, *const c_char, usize) -> Handle,
    insert_append: unsafe extern "C" fn(Handle, *const c_void, usize) -> c_int,
    insert_done: unsafe extern "C" fn(Handle) -> Handle,
    insert_cancel: unsafe extern "C" fn(Handle),
    insert_error: unsafe extern "C" fn(Handle) -> *const c_char,
    insert_free: unsafe extern "C" fn(Handle),
}

/// What the engine answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// The rows, in the format that was asked for.
    pub(crate) bytes: Vec<u8>,
    /// Rows read, bytes read, rows written, bytes written.
    pub(crate) counts: [u64; 4],
}

impl Functions {
    /// Opens the library. It is never closed: its threads run on until the process ends.
    pub(crate) fn open(path: &Path) -> Result<&'static Self, String> {
        // SAFETY: loading runs the library's initialisers; the file is the pinned engine, whose sum the script has checked.
        let library = unsafe { Library::new(path) }.map_err(|e| format!("{} cannot be opened: {e}", path.display()))?;
        let library: &'static Library = Box::leak(Box::new(library));
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: the field's type, which the symbol takes on here, is the one that the pinned version's header declares.
                *unsafe { library.get($name) }.map_err(|e| format!("{} is no engine of this kind: {e}", path.display()))?
            };
        }
        let signals: unsafe extern "C" fn(c_int) = function!("chdb_set_signal_handlers_enabled");
        // SAFETY: it takes a plain number; no session is open yet, so no handler is in use.
        unsafe { signals(0) };
        Ok(Box::leak(Box::new(Functions {
            connect: function!("chdb_connect"),
            close: function!("chdb_close_conn"),
            query: function!("chdb_query_with_params_n"),
            result_free: function!("chdb_destroy_query_result"),
            result_error: function!("chdb_result_error"),
            result_bytes: function!("chdb_result_buffer"),
            result_length: function!("chdb_result_length"),
            counts: [
                function!("chdb_result_rows_read"),
                function!("chdb_result_bytes_read"),
                function!("chdb_result_rows_written"),
                function!("chdb_result_bytes_written"),
            ],
            insert_open: function!("chdb_stream_insert_n"),
            insert_append: function!("chdb_stream_append"),
            insert_done: function!("chdb_stream_done"),
            insert_cancel: function!("chdb_stream_cancel_insert"),
            insert_error: function!("chdb_stream_insert_error"),
            insert_free: function!("chdb_destroy_insert_stream"),
        })))
    }

    /// A session on the data in a folder.
    pub(crate) fn connect(&'static self, folder: &Path) -> Result<Connection, String> {
        let text =
            |text: String| CString::new(text).map_err(|_| "the path of the data has a zero byte in it".to_owned());
        let arguments = [text("clickhouse".to_owned())?, text(format!("--path={}", folder.display()))?];
        let mut pointers = arguments.each_ref().map(|argument| argument.as_ptr().cast_mut());
        // SAFETY: two strings that end in zero and outlive the call, which copies them and changes none.
        let session = unsafe { (self.connect)(2, pointers.as_mut_ptr()) };
        // SAFETY: where the pointer is not null, it is one to a pointer, valid until `close`.
        if session.is_null() || unsafe { (*session).is_null() } {
            return Err(format!(
                "the engine opens no session on {}; does another process use that folder?",
                folder.display()
            ));
        }
        Ok(Connection { functions: self, session })
    }
}

/// One session; queries on it run one after another.
pub(crate) struct Connection {
    functions: &'static Functions,
    session: Session,
}

// SAFETY: a session is bound to no thread; that only one uses it at a time is seen to by `&mut self`.
unsafe impl Send for Connection {}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the session is open, and nobody has it after this.
        unsafe { (self.functions.close)(self.session) }
    }
}

impl Connection {
    fn handle(&self) -> Handle {
        // SAFETY: `connect` has checked it, and it is valid until `drop`.
        unsafe { *self.session }
    }

    /// Runs one statement, with values for its `{name:Type}`s.
    pub(crate) fn query(&mut self, sql: &[u8], format: &str, values: &[(String, String)]) -> Result<Output, String> {
        let names: Vec<_> = values.iter().map(|(name, _)| name.as_ptr().cast()).collect();
        let name_lengths: Vec<_> = values.iter().map(|(name, _)| name.len()).collect();
        let texts: Vec<_> = values.iter().map(|(_, value)| value.as_ptr().cast()).collect();
        let text_lengths: Vec<_> = values.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: all texts come with their lengths, all four lists have the length given last, and all outlive the call.
        let result = unsafe {
            (self.functions.query)(
                self.handle(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                texts.as_ptr(),
                text_lengths.as_ptr(),
                values.len(),
            )
        };
        self.take(result).unwrap_or_else(|| Err(no_answer()))
    }

    /// Runs an `INSERT` without its `FORMAT`, fed by `next`: bytes, `None` at their end, or why they break off; then nothing is stored.
    pub(crate) fn insert(
        &mut self,
        statement: &str,
        format: &str,
        mut next: impl FnMut() -> Result<Option<bytes::Bytes>, String>,
    ) -> Result<Output, String> {
        let (sql, form) = (statement.as_ptr().cast(), format.as_ptr().cast());
        // SAFETY: both texts come with their lengths and outlive the call.
        let stream = unsafe { (self.functions.insert_open)(self.handle(), sql, statement.len(), form, format.len()) };
        if stream.is_null() {
            return Err(no_answer());
        }
        let fed = self.stream_error(stream).map_or(Ok(()), Err).and_then(|()| self.feed(stream, &mut next));
        let output = match fed {
            Ok(()) => {
                // SAFETY: the stream is open, and was not ended before.
                let result = unsafe { (self.functions.insert_done)(stream) };
                self.take(result).unwrap_or_else(|| Err(self.stream_error(stream).unwrap_or_else(no_answer)))
            }
            Err(error) => {
                // SAFETY: as above; a stream that failed by itself may be cancelled too.
                unsafe { (self.functions.insert_cancel)(stream) };
                Err(error)
            }
        };
        // SAFETY: ended or cancelled, and nobody has it after this.
        unsafe { (self.functions.insert_free)(stream) };
        output
    }

    fn feed(
        &self,
        stream: Handle,
        next: &mut impl FnMut() -> Result<Option<bytes::Bytes>, String>,
    ) -> Result<(), String> {
        while let Some(bytes) = next()? {
            // SAFETY: the stream is open; the bytes come with their length and are copied.
            if unsafe { (self.functions.insert_append)(stream, bytes.as_ptr().cast(), bytes.len()) } != 0 {
                return Err(self.stream_error(stream).unwrap_or_else(no_answer));
            }
        }
        Ok(())
    }

    fn stream_error(&self, stream: Handle) -> Option<String> {
        // SAFETY: the stream was opened and is not freed yet; its text, if any, lives as long.
        unsafe { text((self.functions.insert_error)(stream)) }
    }

    /// Takes over what a result holds, and frees it; none where there is none.
    fn take(&self, result: Handle) -> Option<Result<Output, String>> {
        if result.is_null() {
            return None;
        }
        let functions = self.functions;
        // SAFETY: the result is not freed yet, and what it points to lives as long; all is copied before.
        let output = unsafe {
            text((functions.result_error)(result)).map_or_else(
                || {
                    let (start, length) = ((functions.result_bytes)(result), (functions.result_length)(result));
                    let found = if start.is_null() { &[] } else { std::slice::from_raw_parts(start.cast(), length) };
                    Ok(Output { bytes: found.to_vec(), counts: functions.counts.map(|count| count(result)) })
                },
                Err,
            )
        };
        // SAFETY: nothing of it is in use any more.
        unsafe { (functions.result_free)(result) };
        Some(output)
    }
}

fn no_answer() -> String {
    "Code: 1002. DB::Exception: the engine gave no answer. (UNKNOWN_EXCEPTION)".to_owned()
}

/// A text of the engine; none where it is empty or not there.
///
/// # Safety
/// The pointer is null or one to a text that ends in zero.
unsafe fn text(start: *const c_char) -> Option<String> {
    if start.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    let text = unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned();
    (!text.is_empty()).then_some(text)
}
