//! The hellos with which every stream of `/frith/peer/1` begins.

use std::time::Duration;

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::wire::{
    CLASS_PROBE, FRAME_HEADER_BYTES, Greeting, Hello, Refusal, WireError, decode_frame_header,
    decode_greeting,
};

/// Why there was no greeting.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GreetError {
    #[error("the stream ended: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the peer refused: {0}")]
    Refused(Refusal),
    #[error("no hello in time")]
    Timeout,
}

/// Opens a stream's talk: says hello and waits for the answer.
pub(crate) async fn greet<S>(
    stream: &mut S,
    hello: Hello,
    timeout: Duration,
) -> Result<Hello, GreetError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let talk = async {
        send(stream, &Greeting::Hello(hello)).await?;
        match receive(stream).await? {
            Greeting::Hello(hello) => Ok(hello),
            Greeting::Refusal(refusal) => Err(GreetError::Refused(refusal)),
        }
    };
    tokio::time::timeout(timeout, talk)
        .await
        .unwrap_or(Err(GreetError::Timeout))
}

/// Accepts a stream: waits for the hello, has it judged and answers. Returns the hello if it was
/// accepted.
pub(crate) async fn accept<S, F>(
    stream: &mut S,
    timeout: Duration,
    judge: impl FnOnce(Hello) -> F,
) -> Result<Option<Hello>, GreetError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<Hello, Refusal>>,
{
    let talk = async {
        let hello = match receive(stream).await? {
            Greeting::Hello(hello) => hello,
            Greeting::Refusal(refusal) => return Err(GreetError::Refused(refusal)),
        };
        match judge(hello.clone()).await {
            Ok(own) => {
                send(stream, &Greeting::Hello(own)).await?;
                if hello.class == CLASS_PROBE {
                    stream.close().await?;
                }
                Ok(Some(hello))
            }
            Err(refusal) => {
                send(stream, &Greeting::Refusal(refusal)).await?;
                stream.close().await?;
                Ok(None)
            }
        }
    };
    tokio::time::timeout(timeout, talk)
        .await
        .unwrap_or(Err(GreetError::Timeout))
}

async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    greeting: &Greeting,
) -> Result<(), GreetError> {
    stream.write_all(&greeting.to_frame()).await?;
    stream.flush().await?;
    Ok(())
}

async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Greeting, GreetError> {
    let mut header = [0; FRAME_HEADER_BYTES];
    stream.read_exact(&mut header).await?;
    // No message has its place before the hello, so any length is too long for one.
    let header = decode_frame_header(header, 0)?;
    let mut payload = vec![0; header.length as usize];
    stream.read_exact(&mut payload).await?;
    Ok(decode_greeting(header.kind, &payload)?)
}
