//! The functions of bufferevents.

use std::rc::Rc;

use super::buffer::remove_string;
use super::functions;
use super::memory::{owned_fd, Bytes, Decoded, Encoding, Text};
use super::value::Held;
use crate::base::{duration, Base};
use crate::buffer::AnyBuffer;
use crate::bufferevent::{directions, JsBev};
use crate::error::Failure;

functions! {
    c"bevNew" bev_new(_env, base: Rc<Base>, fd: f64, options: i32) -> i32 {
        let fd = if fd < 0.0 { None } else { Some(owned_fd(fd)?) };
        JsBev::create(base, fd, options)
    }

    c"bevSetCallbacks" bev_set_callbacks(_env, bev: Rc<JsBev>, mask: i32) -> () {
        let mask = u8::try_from(mask).ok().filter(|mask| *mask < 16);
        bev.callbacks.mask.set(mask.ok_or(Failure::Range("the mask is a number to 15"))?);
        Ok(())
    }

    c"bevWrite" bev_write(env, bev: Rc<JsBev>, bytes: Bytes) -> () {
        bev.bev.write(bytes.read())?;
        bev.touch();
        env.emit_changes_inside()
    }

    c"bevWriteString" bev_write_string(
        env,
        bev: Rc<JsBev>,
        text: Text,
        encoding: Encoding
    ) -> usize {
        let length = text.add_to(env, encoding, &mut bev.bev.output())?;
        bev.touch();
        env.emit_changes_inside()?;
        Ok(length)
    }

    c"bevWriteBuffer" bev_write_buffer(env, bev: Rc<JsBev>, buffer: AnyBuffer) -> () {
        let output = AnyBuffer::Output(bev);
        output.with_both(&buffer, |output, buffer| output.add_buffer(buffer)).transpose()?;
        env.emit_changes_inside()
    }

    c"bevRead" bev_read(
        env,
        bev: Rc<JsBev>,
        view: Bytes,
        offset: usize,
        length: usize
    ) -> usize {
        let mut view = view;
        let length = bev.bev.read(view.window(offset, length)?)?;
        bev.touch();
        env.emit_changes_inside()?;
        Ok(length)
    }

    c"bevReadString" bev_read_string(
        env,
        bev: Rc<JsBev>,
        length: usize,
        encoding: Encoding
    ) -> Decoded {
        let text = remove_string(env, &mut bev.bev.input(), length, encoding)?;
        bev.touch();
        env.emit_changes_inside()?;
        Ok(text)
    }

    c"bevReadBuffer" bev_read_buffer(env, bev: Rc<JsBev>, buffer: AnyBuffer) -> usize {
        let input = AnyBuffer::Input(bev);
        let moved = input.with_both(&buffer, |input, buffer| {
            let length = input.len();
            buffer.add_buffer(input).map(|()| length)
        });
        let moved = moved.transpose()?;
        env.emit_changes_inside()?;
        Ok(moved.unwrap_or(0))
    }

    c"bevForward" bev_forward(env, from: Rc<JsBev>, to: Rc<JsBev>) -> usize {
        let moved = from.bev.forward(&to.bev)?;
        from.touch();
        to.touch();
        env.emit_changes_inside()?;
        Ok(moved)
    }

    c"bevEnable" bev_enable(_env, bev: Rc<JsBev>, what: i32) -> () {
        bev.bev.enable(directions(what)?)?;
        bev.touch();
        Ok(())
    }

    c"bevDisable" bev_disable(_env, bev: Rc<JsBev>, what: i32) -> () {
        bev.bev.disable(directions(what)?)?;
        bev.touch();
        Ok(())
    }

    c"bevEnabled" bev_enabled(_env, bev: Rc<JsBev>) -> i32 {
        Ok(bev.bev.enabled().bits().into())
    }

    c"bevInputLength" bev_input_length(_env, bev: Rc<JsBev>) -> usize {
        let length = bev.bev.input().len();
        Ok(length)
    }

    c"bevOutputLength" bev_output_length(_env, bev: Rc<JsBev>) -> usize {
        let length = bev.bev.output().len();
        Ok(length)
    }

    c"bevInput" bev_input(_env, bev: Rc<JsBev>) -> i32 {
        bev.buffer(false)
    }

    c"bevOutput" bev_output(_env, bev: Rc<JsBev>) -> i32 {
        bev.buffer(true)
    }

    c"bevSetWatermark" bev_set_watermark(
        _env,
        bev: Rc<JsBev>,
        what: i32,
        low: usize,
        high: usize
    ) -> () {
        bev.bev.set_watermark(directions(what)?, low, high)?;
        bev.touch();
        Ok(())
    }

    c"bevSetTimeouts" bev_set_timeouts(_env, bev: Rc<JsBev>, read_ms: f64, write_ms: f64) -> () {
        bev.bev.set_timeouts(duration(read_ms)?, duration(write_ms)?)?;
        bev.touch();
        Ok(())
    }

    c"bevFree" bev_free(env, bev: Held<Rc<JsBev>>) -> () {
        let base = bev.object.base().clone();
        bev.object.free(bev.handle);
        base.touch();
        env.emit_changes_inside()
    }

    c"bevClose" bev_close(_env, bev: Rc<JsBev>) -> () {
        bev.bev.close();
        bev.touch();
        Ok(())
    }
}
