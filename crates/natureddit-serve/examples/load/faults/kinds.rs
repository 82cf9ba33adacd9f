//! What clients send that mean well, that break, and that mean no good.

use std::io::{self, ErrorKind, Read, Write};
use std::thread;
use std::time::Duration;

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use natureddit_image::Photo;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::Outcome;
use crate::connection::{Answer, Connection, Target};
use crate::posts::{form, title};

/// Longer silence of the server is wrong.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Good posts that differ.
const POSTS: usize = 16;
/// The side of a photo that is just within the limit of pixels, in a file of a few kilobytes.
const BOMB_SIDE: u32 = 7_000;
/// More than a body may have, in bytes.
const TOO_LARGE: u64 = 30_000_000;
/// Between two pieces of a slow client, and how many there are.
const SLOW_PAUSE: Duration = Duration::from_millis(40);
const SLOW_PIECES: usize = 25;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A post, answered with its label.
    Good,
    /// The same in small pieces with pauses.
    Slow,
    /// Half a body, and then a reset.
    Reset,
    /// A head that never ends.
    EndlessHead,
    /// Random bytes instead of TLS.
    Garbage,
    /// HTTP without TLS.
    Plain,
    /// A handshake that is broken off.
    CutHandshake,
    /// A record of TLS that is broken off.
    CutRecord,
    /// Random bytes instead of HTTP, over TLS.
    GarbageInTls,
    /// A file that claims more pixels than are allowed.
    Claim,
    /// A small file with as many pixels as are just allowed.
    Bomb,
    /// Half a photo.
    CutPhoto,
    /// Random bytes for a photo.
    NoPhoto,
    /// A content type that nobody reads.
    WrongType,
    /// A form whose boundary is not told.
    NoBoundary,
    /// More bytes than a body may have.
    TooLarge,
}

impl Kind {
    /// Each with its weight.
    const WEIGHTS: [(Self, u32); 16] = [
        (Self::Good, 60),
        (Self::Slow, 6),
        (Self::Reset, 6),
        (Self::EndlessHead, 2),
        (Self::Garbage, 4),
        (Self::Plain, 3),
        (Self::CutHandshake, 4),
        (Self::CutRecord, 4),
        (Self::GarbageInTls, 4),
        (Self::Claim, 4),
        (Self::Bomb, 1),
        (Self::CutPhoto, 4),
        (Self::NoPhoto, 4),
        (Self::WrongType, 4),
        (Self::NoBoundary, 4),
        (Self::TooLarge, 2),
    ];

    /// One by chance.
    pub(super) fn choose(random: &mut SmallRng) -> Self {
        let all: u32 = Self::WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left = random.random_range(0..all);
        for (kind, weight) in Self::WEIGHTS {
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        Self::Good
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Slow => "slow",
            Self::Reset => "reset",
            Self::EndlessHead => "endless head",
            Self::Garbage => "garbage",
            Self::Plain => "plain HTTP",
            Self::CutHandshake => "cut handshake",
            Self::CutRecord => "cut record",
            Self::GarbageInTls => "garbage in TLS",
            Self::Claim => "claim of pixels",
            Self::Bomb => "bomb",
            Self::CutPhoto => "cut photo",
            Self::NoPhoto => "no photo",
            Self::WrongType => "wrong type",
            Self::NoBoundary => "no boundary",
            Self::TooLarge => "too large",
        }
    }
}

/// A good post and what the server said to it in the beginning.
struct Known {
    request: Vec<u8>,
    label: Vec<u8>,
}

/// What clients have to send.
pub(super) struct Outside<'a> {
    target: &'a Target,
    known: Vec<Known>,
    photo: Vec<u8>,
    bomb: Vec<u8>,
}

impl<'a> Outside<'a> {
    /// Asks the server for the answers to good posts, which it has to keep to.
    pub(super) fn new(target: &'a Target) -> Outcome<Self> {
        let mut known = Vec::new();
        let mut client = target.connect()?;
        for number in 0..POSTS {
            let request = form(target, &title(number), &drawn(number));
            let answer = client.exchange(&request)?;
            if answer.status != 200 {
                return Err(format!("a good post was answered {}", answer.status).into());
            }
            known.push(Known { request, label: answer.body });
        }
        let mut bomb = Vec::new();
        let rows = vec![0; (BOMB_SIDE * BOMB_SIDE) as usize];
        PngEncoder::new(&mut bomb).write_image(&rows, BOMB_SIDE, BOMB_SIDE, ExtendedColorType::L8)?;
        Ok(Self { target, known, photo: drawn(0), bomb })
    }

    /// Sends one thing; an error where the server did not do what it must.
    pub(super) fn send(&self, kind: Kind, random: &mut SmallRng) -> Outcome<()> {
        let known = &self.known[random.random_range(0..self.known.len())];
        match kind {
            Kind::Good => right(&self.open()?.exchange(&known.request)?, known),
            Kind::Slow => right(&self.slowly(&known.request)?, known),
            Kind::Reset => self.reset(&known.request, random),
            Kind::EndlessHead => self.endless_head(),
            Kind::Garbage => self.plainly(&bytes(random)),
            Kind::Plain => self.plainly(b"GET /ping HTTP/1.1\r\nhost: localhost\r\n\r\n"),
            Kind::CutHandshake => self.cut_handshake(random),
            Kind::CutRecord => self.cut_record(&known.request),
            Kind::GarbageInTls => self.garbage_in_tls(random),
            Kind::Claim => self.refused(&form(self.target, "a fox", &claiming(&self.photo))),
            Kind::Bomb => self.answered(&form(self.target, "a fox", &self.bomb), 200..=499),
            Kind::CutPhoto => {
                let end = random.random_range(2..self.photo.len());
                self.answered(&form(self.target, "a fox", &self.photo[..end]), 200..=499)
            }
            Kind::NoPhoto => self.refused(&form(self.target, "a fox", &bytes(random))),
            Kind::WrongType => {
                self.refused(&self.target.request("POST", "content-type: application/x-fox\r\n", b"fox"))
            }
            Kind::NoBoundary => {
                let headers = "content-type: multipart/form-data\r\n";
                self.refused(&self.target.request("POST", headers, &bytes(random)))
            }
            Kind::TooLarge => self.too_large(),
        }
    }

    /// Asks for all known answers again.
    pub(super) fn check_all(&self) -> Outcome<()> {
        let mut client = self.open()?;
        self.known.iter().try_for_each(|known| right(&client.exchange(&known.request)?, known))
    }

    fn open(&self) -> Outcome<Connection> {
        let connection = self.target.connect()?;
        connection.stream.sock.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(connection)
    }

    /// A connection whose handshake is done, and on which nothing was read since: closed now, it is reset, for the server's
    /// tickets are unread.
    fn shaken(&self) -> Outcome<Connection> {
        let mut connection = self.open()?;
        let stream = &mut connection.stream;
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(connection)
    }

    fn slowly(&self, request: &[u8]) -> Outcome<Answer> {
        let mut connection = self.open()?;
        for piece in request.chunks(request.len().div_ceil(SLOW_PIECES)) {
            connection.stream.write_all(piece)?;
            connection.stream.flush()?;
            thread::sleep(SLOW_PAUSE);
        }
        Ok(connection.answer()?)
    }

    fn reset(&self, request: &[u8], random: &mut SmallRng) -> Outcome<()> {
        let mut connection = self.shaken()?;
        connection.stream.write_all(&request[..random.random_range(1..request.len())])?;
        connection.stream.flush()?;
        Ok(())
    }

    /// The server must end it by itself.
    fn endless_head(&self) -> Outcome<()> {
        let mut connection = self.open()?;
        connection.stream.write_all(b"POST /predictions/x HTTP/1.1\r\nhost: localhost\r\nx-endless: ")?;
        connection.stream.flush()?;
        closed(&mut connection.stream)
    }

    fn plainly(&self, bytes: &[u8]) -> Outcome<()> {
        let mut socket = self.target.connect_plainly()?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        match socket.write_all(bytes) {
            Err(error) if !is_closed(&error) => Err(error.into()),
            _ => closed(&mut socket),
        }
    }

    fn cut_handshake(&self, random: &mut SmallRng) -> Outcome<()> {
        let mut connection = self.open()?;
        let mut hello = Vec::new();
        connection.stream.conn.write_tls(&mut hello)?;
        let end = random.random_range(1..hello.len());
        connection.stream.sock.write_all(&hello[..end])?;
        Ok(())
    }

    fn cut_record(&self, request: &[u8]) -> Outcome<()> {
        let mut connection = self.shaken()?;
        let mut record = Vec::new();
        connection.stream.conn.writer().write_all(&request[..request.len() / 2])?;
        connection.stream.conn.write_tls(&mut record)?;
        connection.stream.sock.write_all(&record[..record.len() / 2])?;
        Ok(())
    }

    fn garbage_in_tls(&self, random: &mut SmallRng) -> Outcome<()> {
        let mut connection = self.shaken()?;
        let mut garbage = bytes(random);
        garbage.extend(b"\r\n\r\n");
        match connection.stream.write_all(&garbage).and_then(|()| connection.stream.flush()) {
            Err(error) if !is_closed(&error) => Err(error.into()),
            _ => closed(&mut connection.stream),
        }
    }

    fn refused(&self, request: &[u8]) -> Outcome<()> {
        self.answered(request, 400..=499)
    }

    fn answered(&self, request: &[u8], statuses: std::ops::RangeInclusive<u16>) -> Outcome<()> {
        let answer = self.open()?.exchange(request)?;
        if statuses.contains(&answer.status) { Ok(()) } else { Err(format!("answered {}", answer.status).into()) }
    }

    /// The server need not take all of it.
    fn too_large(&self) -> Outcome<()> {
        let mut connection = self.open()?;
        let (path, host) = (&self.target.path, &self.target.host);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: image/jpeg\r\ncontent-length: {TOO_LARGE}\r\n\r\n"
        );
        connection.stream.write_all(head.as_bytes())?;
        match io::copy(&mut io::repeat(0).take(TOO_LARGE), &mut connection.stream) {
            Err(error) if !is_closed(&error) => return Err(error.into()),
            _ => {}
        }
        // Where it has closed the connection, its answer may be lost.
        match connection.answer() {
            Ok(answer) if answer.status == 413 => Ok(()),
            Ok(answer) => Err(format!("answered {}", answer.status).into()),
            Err(error) if is_closed(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn right(answer: &Answer, known: &Known) -> Outcome<()> {
    if answer.status == 200 && answer.body == known.label {
        return Ok(());
    }
    Err(format!("answered {} {:?}", answer.status, String::from_utf8_lossy(&answer.body)).into())
}

/// Reads until the server closes the connection; that it stays silent is an error.
fn closed(stream: &mut impl Read) -> Outcome<()> {
    match io::copy(stream, &mut io::sink()) {
        Err(error) if !is_closed(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether the other side has gone, in whatever manner; broken TLS is told as invalid data.
fn is_closed(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | InvalidData | UnexpectedEof)
}

fn bytes(random: &mut SmallRng) -> Vec<u8> {
    let length = random.random_range(1..4096);
    (0..length).map(|_| random.random()).collect()
}

/// A picture that no other number has.
fn drawn(number: usize) -> Vec<u8> {
    let (width, height) = (320, 240);
    let pixel = |at: usize| {
        let (x, y) = (at % width, at / width);
        [x * (number + 1), y * (2 * number + 1), (x + y) * 3].map(|value| (value / 8 % 256) as u8)
    };
    let rgb = (0..width * height).flat_map(pixel).collect();
    Photo { width: width as u32, height: height as u32, rgb }.to_jpeg(90)
}

/// The same JPEG with a head that says 60,000 x 60,000.
fn claiming(photo: &[u8]) -> Vec<u8> {
    let mut photo = photo.to_vec();
    // A frame's head (SOF0): marker, length and precision, then height and width.
    if let Some(at) = photo.windows(2).position(|marker| marker == [0xFF, 0xC0]) {
        photo[at + 5..at + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
    }
    photo
}
