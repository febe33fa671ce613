// Copyright (c) The muccore authors. See LICENSE for details.
// Asks who enters, where there is a choice, and starts Converse.js with what the server has put into the page.

const settings = JSON.parse(document.getElementById('settings').textContent);
const entry = document.getElementById('entry');
const nick = document.getElementById('nick');
const storage = 'muccore-entry';

// What Converse.js shows there loads pictures from other sites.
customElements.define('converse-footer', class extends HTMLElement {
    connectedCallback() {
        const link = document.createElement('a');
        link.href = 'https://conversejs.org';
        link.rel = 'noreferrer';
        link.textContent = 'Converse.js';
        this.replaceChildren(link);
    }
});

function remembered() {
    try {
        const found = JSON.parse(sessionStorage.getItem(storage));
        return found && found.room === settings.room ? found : null;
    } catch {
        return null;
    }
}

// Where the browser stores nothing, the form comes again.
function remember(kind, name) {
    try {
        sessionStorage.setItem(storage, JSON.stringify({kind, name, room: settings.room}));
    } catch { /* as above */ }
}

function forget() {
    try {
        sessionStorage.removeItem(storage);
    } catch { /* as above */ }
}

function socketURL(path) {
    return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`;
}

function start(kind, name) {
    const isGuest = kind === 'guest';
    entry.remove();
    const options = {
        assets_path: '/converse',
        authentication: isGuest ? 'anonymous' : 'login',
        auto_reconnect: true,
        discover_connection_methods: false,
        enable_smacks: true,
        keepalive: true,
        muc_domain: settings.rooms,
        muc_nickname_from_jid: true,
        view_mode: 'fullscreen',
        websocket_url: settings.websocket && socketURL(settings.websocket),
        bosh_service_url: settings.bosh,
    };
    if (isGuest) {
        Object.assign(options, {
            jid: settings.guests,
            auto_login: true,
            allow_contact_requests: false,
            auto_register_muc_nickname: false,
            // What they would store.
            blacklisted_plugins: ['converse-bookmarks', 'converse-omemo'],
        });
    } else {
        Object.assign(options, {allow_registration: settings.registration, default_domain: settings.domain});
        if (settings.registration) {
            options.registration_domain = settings.domain;
        }
    }
    if (name) {
        options.nickname = name;
    }
    if (settings.room) {
        options.auto_join_rooms = [name ? {jid: settings.room, nick: name} : settings.room];
    }
    converse.plugins.add('muccore-entry', {
        initialize() {
            const {api} = this._converse;
            // After a log-out the form is there again.
            api.listen.on('logout', forget);
            if (isGuest) {
                // A guest who could not resume is another one, whom Converse.js does not bring into the room.
                const returned = () => location.reload();
                api.listen.once('connected', () => {
                    api.listen.on('connected', returned);
                    api.listen.on('reconnected', returned);
                });
            }
        },
    });
    converse.initialize({...options, whitelisted_plugins: ['muccore-entry']});
}

function ask() {
    document.getElementById('heading').textContent = `Enter ${settings.room.split('@')[0]}`;
    document.getElementById('address').textContent = settings.room;
    const guest = document.getElementById('guest');
    guest.hidden = !settings.guests;
    entry.hidden = false;
    nick.focus();
    entry.querySelector('form').addEventListener('submit', (event) => {
        event.preventDefault();
        const kind = event.submitter?.value ?? (settings.guests ? 'guest' : 'account');
        const name = nick.value.trim();
        if (!name) {
            nick.reportValidity();
            return;
        }
        remember(kind, name);
        start(kind, name);
    });
}

const before = remembered();
if (before) {
    start(before.kind, before.name);
} else if (settings.room) {
    ask();
} else {
    start('account', '');
}
