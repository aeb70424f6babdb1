//! TLS with other people's programs, in processes of their own: OpenSSL both ways, and curl.
#![cfg(all(target_os = "linux", feature = "tls"))]

mod tls_support;

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use evcore::bufferevent::{BufferEvent, BufferEventFlags, BufferEventOptions};
use evcore::listener::{ConnListener, ListenerOptions};
use evcore::tls::{
    TlsClientAuth, TlsClientConfig, TlsError, TlsServerBuilder, TlsServerConfig, TlsVersion,
};
use evcore::util::SocketAddress;
use evcore::{EventBase, EventFlags};
use tls_support::{Authority, Issued};

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const LIMIT: Duration = Duration::from_secs(20);
const VERSIONS: [(TlsVersion, &str); 2] =
    [(TlsVersion::V1_2, "-tls1_2"), (TlsVersion::V1_3, "-tls1_3")];

/// A folder for certificates, removed when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("evcore-tls-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn identity(&self, name: &str, issued: &Issued) -> [String; 2] {
        [
            self.file(&format!("{name}.pem"), &issued.chain),
            self.file(&format!("{name}.key"), &issued.key),
        ]
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that is ended with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program to its end, with `input` as its standard input.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        // It may end before it has read everything.
        let _ = stdin.write_all(&input);
    });
    let id = child.id().to_string();
    let watchdog = thread::spawn(move || child.wait_with_output().unwrap());
    let start = Instant::now();
    while !watchdog.is_finished() {
        if start.elapsed() > LIMIT {
            let _ = Command::new("kill").arg(&id).status();
            panic!("{program} {arguments:?} has not ended");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = writer.join();
    watchdog.join().unwrap()
}

fn text(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

/// What our server was told, a line each.
type Told = Rc<RefCell<Vec<String>>>;

/// Serves connections one after the other until `clients`, which runs in a thread and gets the port,
/// has returned. Answers a line with the line, and an HTTP request with what was agreed on.
fn serve<T: Send + 'static>(
    config: &TlsServerConfig,
    clients: impl FnOnce(String) -> T + Send + 'static,
) -> (T, Vec<String>) {
    let base = EventBase::new().unwrap();
    let told = Told::default();
    let address = SocketAddress::Ip("127.0.0.1:0".parse().unwrap());
    let listener = ConnListener::bind(&base, &address, ListenerOptions::default(), {
        let (base, told, config) = (base.clone(), told.clone(), config.clone());
        move |_, fd, _| {
            let bev = BufferEvent::tls_server(&base, fd, &config, CLOSE).unwrap();
            let told = told.clone();
            bev.set_callbacks(
                Some(Box::new(answer)),
                None,
                Some(Box::new(move |bev, what| {
                    note(&told, bev, what);
                    if !what.contains(BufferEventFlags::CONNECTED) {
                        bev.close();
                    }
                })),
            );
            bev.enable(EventFlags::READ).unwrap();
        }
    })
    .unwrap();
    let Some(SocketAddress::Ip(address)) = listener.local_address() else { panic!("no address") };
    let handle = base.handle();
    let thread = thread::spawn(move || {
        let result = clients(address.port().to_string());
        handle.loop_exit().unwrap();
        result
    });
    base.dispatch().unwrap();
    let told = told.borrow().clone();
    (thread.join().unwrap(), told)
}

fn answer(bev: &BufferEvent) {
    let came = bev.input().to_vec();
    if came.starts_with(b"GET ") {
        if came.ends_with(b"\r\n\r\n") {
            let tls = bev.tls().unwrap();
            let body = format!("{} {:?}\n", tls.version().unwrap().name(), tls.server_name());
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            bev.write(format!("{head}{body}").as_bytes()).unwrap();
            bev.close();
        }
    } else {
        bev.forward(bev).unwrap();
    }
}

fn note(told: &Told, bev: &BufferEvent, what: BufferEventFlags) {
    let tls = bev.tls().unwrap();
    let line = if what.contains(BufferEventFlags::CONNECTED) {
        let alpn = tls.alpn().map(|name| String::from_utf8(name).unwrap());
        let resumed = if tls.was_resumed() { " resumed" } else { "" };
        format!(
            "{} {} {} certificates{resumed}",
            tls.version().unwrap().name(),
            alpn.as_deref().unwrap_or("-"),
            tls.peer_certificates().len()
        )
    } else if what.contains(BufferEventFlags::EOF) {
        "eof".into()
    } else {
        let error = bev.take_error();
        let name = error.as_ref().and_then(TlsError::of).map(TlsError::name);
        name.map_or(format!("{error:?}"), str::to_owned)
    };
    told.borrow_mut().push(line);
}

struct Ours {
    authority: Authority,
    folder: Folder,
    roots: String,
}

impl Ours {
    fn new() -> Self {
        let (authority, folder) = (Authority::new("evnode tests"), Folder::new());
        let roots = folder.file("roots.pem", &authority.pem);
        Self { authority, folder, roots }
    }

    fn server(&self) -> TlsServerBuilder {
        TlsServerConfig::builder(self.authority.issue(&["localhost"]).identity())
    }
}

/// `openssl s_client` that is told `input` at once.
fn s_client(port: &str, roots: &str, more: &[&str], input: &[u8]) -> Output {
    let address = format!("127.0.0.1:{port}");
    let arguments = ["s_client", "-connect", &address, "-CAfile", roots, "-verify_return_error"];
    run("openssl", &[&arguments[..], more].concat(), input)
}

#[test]
fn openssl_connects_with_both_versions_name_and_protocol() {
    let ours = Ours::new();
    let server = ours.server().alpn(["h2", "http/1.1"]).build().unwrap();
    for (version, flag) in VERSIONS {
        let roots = ours.roots.clone();
        let (output, told) = serve(&server, move |port| {
            let more = [flag, "-servername", "localhost", "-alpn", "http/1.1", "-verify_hostname"];
            s_client(&port, &roots, &[&more[..], &["localhost"]].concat(), b"a line\nQ\n")
        });
        let said = text(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains("ALPN protocol: http/1.1"), "{said}");
        let connected = format!("{} http/1.1 0 certificates", version.name());
        assert_eq!(told, [&*connected, "eof"]);
    }
}

#[test]
fn openssl_shows_its_certificate_and_is_refused_without() {
    let ours = Ours::new();
    let [certificate, key] = ours.folder.identity("client", &ours.authority.issue(&["a client"]));
    let roots = ours.authority.pem.as_bytes();
    let server = ours.server().client_auth_pem(TlsClientAuth::Required, roots).build().unwrap();
    for (version, flag) in VERSIONS {
        let (roots, certificate, key) = (ours.roots.clone(), certificate.clone(), key.clone());
        let (_, told) = serve(&server, move |port| {
            s_client(&port, &roots, &[flag, "-cert", &certificate, "-key", &key], b"Q\n");
            s_client(&port, &roots, &[flag], b"Q\n");
        });
        // It shows its root as well.
        let connected = format!("{} - 2 certificates", version.name());
        assert_eq!(told, [&*connected, "eof", "CERT_REQUIRED"]);
    }
}

#[test]
fn openssl_resumes_its_session() {
    let ours = Ours::new();
    let server = ours.server().build().unwrap();
    for (version, flag) in VERSIONS {
        let session = ours.folder.path().join(version.name()).to_str().unwrap().to_owned();
        let roots = ours.roots.clone();
        let (said, told) = serve(&server, move |port| {
            // It ends once the answer has come, and with it the ticket.
            let line = [("a line", "a line")];
            let first = s_client_until(&port, &roots, &[flag, "-sess_out", &session], &line);
            let second = s_client_until(&port, &roots, &[flag, "-sess_in", &session], &line);
            (first, second)
        });
        assert!(said.1.contains("Reused, "), "{said:?}");
        let connected: Vec<_> = told.iter().filter(|line| line.starts_with("TLS")).collect();
        assert!(!connected[0].ends_with("resumed"), "{told:?}");
        assert!(connected[1].ends_with("resumed"), "{told:?}");
    }
}

/// `openssl s_client` that sends lines, each once the answer to the one before has come, and ends
/// after the last.
fn s_client_until(port: &str, roots: &str, more: &[&str], lines: &[(&str, &str)]) -> String {
    // What it says of itself comes on its standard error.
    let mut program = Program(
        Command::new("timeout")
            .args([&LIMIT.as_secs().to_string(), "sh", "-c", "exec openssl \"$@\" 2>&1", "sh"])
            .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-CAfile", roots])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut stdin = program.0.stdin.take().unwrap();
    let mut left = lines.iter();
    let mut say = || {
        let (line, answer) = *left.next().unwrap_or(&("Q", "nothing"));
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        answer
    };
    let mut answer = say();
    let mut said = String::new();
    for line in BufReader::new(program.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        said += &line;
        said.push('\n');
        if line == answer {
            answer = say();
        }
    }
    said
}

#[test]
fn openssl_changes_keys_and_asks_in_vain_to_renegotiate() {
    let ours = Ours::new();
    let server = ours.server().build().unwrap();
    let roots = ours.roots.clone();
    let ((changed, renegotiated), told) = serve(&server, move |port| {
        let before = ("before", "before");
        let lines = [before, ("K", "KEYUPDATE"), ("after", "after")];
        let changed = s_client_until(&port, &roots, &["-tls1_3"], &lines);
        // OpenSSL gives up when it is refused.
        let lines = [before, ("R", "never")];
        (changed, s_client_until(&port, &roots, &["-tls1_2"], &lines))
    });
    assert!(changed.contains("KEYUPDATE\n") && changed.contains("\nafter\n"), "{changed}");
    assert!(renegotiated.contains("no renegotiation"), "{renegotiated}");
    assert!(told.contains(&"TLSv1.3 - 0 certificates".into()), "{told:?}");
    assert!(told.contains(&"TLSv1.2 - 0 certificates".into()), "{told:?}");
    assert!(!told.contains(&"PEER_MISBEHAVED".into()), "{told:?}");
}

#[test]
fn curl_fetches_by_name_with_both_versions() {
    let ours = Ours::new();
    let server = ours.server().alpn(["http/1.1"]).build().unwrap();
    for (version, flags) in
        [(TlsVersion::V1_2, &["--tls-max", "1.2"][..]), (TlsVersion::V1_3, &["--tlsv1.3"])]
    {
        let roots = ours.roots.clone();
        let (output, told) = serve(&server, move |port| {
            let url = format!("https://localhost:{port}/");
            let resolve = format!("localhost:{port}:127.0.0.1");
            let usual = ["--silent", "--show-error", "--noproxy", "*", "--cacert", &roots];
            let more = ["--resolve", &resolve, &url];
            run("curl", &[&usual[..], flags, &more[..]].concat(), b"")
        });
        assert!(output.status.success(), "{}", text(&output));
        let expected = format!("{} Some(\"localhost\")\n", version.name());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        assert!(told[0].starts_with(version.name()), "{told:?}");
        assert!(told[0].contains("http/1.1"), "{told:?}");
    }
}

#[test]
fn curl_refuses_a_certificate_and_we_hear_why() {
    let ours = Ours::new();
    let server = ours.server().build().unwrap();
    let strange = ours.folder.file("strange.pem", &Authority::new("strange").pem);
    let (output, told) = serve(&server, move |port| {
        let url = format!("https://localhost:{port}/");
        run("curl", &["--silent", "--noproxy", "*", "--cacert", &strange, &url], b"")
    });
    assert_eq!(output.status.code(), Some(60), "{}", text(&output));
    assert_eq!(told, ["PEER_ALERT"]);
}

#[test]
fn node_connects_to_us_and_serves_us() {
    let ours = Ours::new();
    let server = ours.server().alpn(["x"]).build().unwrap();
    let client = "
        const [port, ca, maxVersion] = process.argv.slice(1);
        const socket = require('tls').connect({
          port, host: '127.0.0.1', servername: 'localhost', ca: require('fs').readFileSync(ca),
          ALPNProtocols: ['x'], maxVersion,
        });
        let heard = '';
        socket.write('a line\\n');
        socket.setEncoding('utf8').on('data', (text) => {
          heard += text;
          if (heard.endsWith('\\n')) socket.end();
        });
        socket.on('close', () => console.log(
          socket.authorized, socket.alpnProtocol, JSON.stringify(heard)));";
    for (version, _) in VERSIONS {
        let roots = ours.roots.clone();
        let (output, told) = serve(&server, move |port| {
            run("node", &["-e", client, &port, &roots, version.name()], b"")
        });
        assert_eq!(text(&output), "true x \"a line\\n\"\n");
        assert_eq!(told, [format!("{} x 0 certificates", version.name()), "eof".into()]);
    }
    let server = "
        const [cert, key] = process.argv.slice(1).map((file) => require('fs').readFileSync(file));
        const server = require('tls').createServer({ cert, key, ALPNProtocols: ['x'] }, (socket) => {
          socket.pipe(socket);
          socket.on('error', () => {});
        });
        server.listen(0, '127.0.0.1', () => console.log(server.address().port));";
    let [certificate, key] = ours.folder.identity("node", &ours.authority.issue(&["localhost"]));
    let mut program = Program(
        Command::new("node")
            .args(["-e", server, &certificate, &key])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut port = String::new();
    BufReader::new(program.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port.trim().parse().unwrap()));
    for (version, _) in VERSIONS {
        let client = TlsClientConfig::builder().roots_pem(ours.authority.pem.as_bytes());
        let client = client.alpn(["x"]).versions(&[version]).build().unwrap();
        for resumed in ["", " resumed"] {
            let (told, heard) = ask(&client, "localhost", address);
            assert_eq!(heard, "evnode\n");
            assert_eq!(told.borrow()[0], format!("{} x 1 certificates{resumed}", version.name()));
        }
    }
}

/// An `openssl s_server` that answers each line backwards, and the address where it listens.
fn s_server(ours: &Ours, more: &[&str]) -> (Program, SocketAddr) {
    let [certificate, key] = ours.folder.identity("server", &ours.authority.issue(&["localhost"]));
    // It does not say which port it was given, so one that is free a moment before is chosen.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut program = Program(
        Command::new("openssl")
            .args(["s_server", "-accept", &address.to_string(), "-rev"])
            .args(["-cert", &certificate, "-key", &key])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut output = BufReader::new(program.0.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("ACCEPT") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "s_server has ended");
    }
    thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    (program, address)
}

/// Connects, says a line, and gives what came back or what the end was told.
fn ask(config: &TlsClientConfig, name: &str, address: SocketAddr) -> (Told, String) {
    let base = EventBase::new().unwrap();
    let bev = BufferEvent::tls_client(&base, None, config, name, CLOSE).unwrap();
    let (told, heard) = (Told::default(), Rc::new(RefCell::new(String::new())));
    bev.write(b"evnode\n").unwrap();
    bev.set_callbacks(
        Some(Box::new({
            let heard = heard.clone();
            move |bev| {
                heard.borrow_mut().push_str(&String::from_utf8(bev.input().to_vec()).unwrap());
                bev.input().drain(usize::MAX).unwrap();
                if heard.borrow().ends_with('\n') {
                    bev.close();
                }
            }
        })),
        None,
        Some(Box::new({
            let told = told.clone();
            move |bev, what| {
                note(&told, bev, what);
                if !what.contains(BufferEventFlags::CONNECTED) {
                    bev.close();
                }
            }
        })),
    );
    bev.enable(EventFlags::READ).unwrap();
    bev.set_timeouts(Some(LIMIT), Some(LIMIT)).unwrap();
    bev.connect(&SocketAddress::Ip(address)).unwrap();
    base.dispatch().unwrap();
    let heard = heard.borrow().clone();
    (told, heard)
}

#[test]
fn openssl_serves_us_with_both_versions_protocol_and_resumption() {
    for (version, flag) in VERSIONS {
        let ours = Ours::new();
        let (_server, address) = s_server(&ours, &[flag, "-alpn", "h2"]);
        let client = TlsClientConfig::builder().roots_pem(ours.authority.pem.as_bytes());
        let client = client.alpn(["h2"]).build().unwrap();
        for resumed in ["", " resumed"] {
            let (told, heard) = ask(&client, "localhost", address);
            assert_eq!(heard, "edonve\n");
            assert_eq!(told.borrow()[0], format!("{} h2 1 certificates{resumed}", version.name()));
        }
    }
}

#[test]
fn openssl_asks_for_our_certificate() {
    for (_, flag) in VERSIONS {
        let ours = Ours::new();
        let (_server, address) = s_server(
            &ours,
            &[flag, "-Verify", "1", "-CAfile", &ours.roots, "-verify_return_error"],
        );
        let client = || TlsClientConfig::builder().roots_pem(ours.authority.pem.as_bytes());
        let identity = ours.authority.issue(&["us"]).identity();
        let (_, heard) = ask(&client().identity(identity).build().unwrap(), "localhost", address);
        assert_eq!(heard, "edonve\n");
        let (told, heard) = ask(&client().build().unwrap(), "localhost", address);
        assert_eq!(heard, "");
        assert_eq!(told.borrow().last().map(String::as_str), Some("PEER_ALERT"));
    }
}

#[test]
fn the_certificate_of_openssl_is_verified() {
    let ours = Ours::new();
    let (_server, address) = s_server(&ours, &[]);
    let (told, _) = ask(&ours.authority.client(), "example.org", address);
    assert_eq!(*told.borrow(), ["CERT_NAME_MISMATCH"]);
    let (told, _) = ask(&Authority::new("others").client(), "localhost", address);
    assert_eq!(*told.borrow(), ["CERT_UNKNOWN_ISSUER"]);
}

#[test]
fn a_connection_to_openssl_that_is_cut_is_an_error() {
    let ours = Ours::new();
    let (_server, target) = s_server(&ours, &[]);
    // Passes everything on, and ends the stream when it is told to.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (cut, told_to_cut) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = TcpStream::connect(target).unwrap();
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
        told_to_cut.recv().unwrap();
        near.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let base = EventBase::new().unwrap();
    let client = ours.authority.client();
    let bev = BufferEvent::tls_client(&base, None, &client, "localhost", CLOSE).unwrap();
    let told = Told::default();
    let noted = told.clone();
    bev.set_callbacks(
        None,
        None,
        Some(Box::new(move |bev, what| {
            note(&noted, bev, what);
            if what.contains(BufferEventFlags::CONNECTED) {
                cut.send(()).unwrap();
            } else {
                bev.free();
            }
        })),
    );
    bev.enable(EventFlags::READ).unwrap();
    bev.set_timeouts(Some(LIMIT), Some(LIMIT)).unwrap();
    bev.connect(&SocketAddress::Ip(address)).unwrap();
    base.dispatch().unwrap();
    assert_eq!(told.borrow().last().map(String::as_str), Some("TRUNCATED"));
}
